package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"faultline/checker"
)

//go:embed sweep.html
var sweepText string

//go:embed sweep.css
var sweepCSS string

var sweepPage = template.Must(template.New("sweep").Funcs(template.FuncMap{"mark": mark, "thousands": thousands[int], "percent": percent, "seconds": ofSeconds}).Parse(sweepText))

// sweepView is what the template prints; it decides nothing.
type sweepView struct {
	Sweep
	CSS              template.CSS
	Headline, Doc    string
	Facts            []pair
	Maps             []heatMap
	Charts           []sweepChart
	Rows             []sweepRow
	Forwarded, Local bool // some cell has such requests
	Echo, Theory     bool
}

// heatMap shows one number of every cell: a table for each combination of the axes before the last two.
type heatMap struct {
	Title, Note string
	Tables      []heatTable
}

type heatTable struct {
	Caption       string // empty if there are no more than two axes
	Row, Column   string // keys; Row is empty if there is one axis
	Columns, Rows []string
	Cells         [][]heat // by row
}

// heat is a cell of a map.
type heat struct {
	Text, Sub, Title string
	Class            string // of its verdict; empty: Share colours it
	Share            int    // of 100: how far it is from the best to the worst
	Link             string
}

type sweepRow struct {
	Cell
	Label string
	Link  string
}

// SweepHTML is the page of a sweep, in UTF-8, with everything in it. Links lead to the reports of runs, below the page.
func SweepHTML(s Sweep) ([]byte, error) {
	view := sweepView{Sweep: s, CSS: template.CSS(pageCSS + sweepCSS), Headline: sweepHeadline(s), Doc: s.Doc, Facts: sweepFacts(s)}
	for _, c := range s.Cells {
		view.Forwarded = view.Forwarded || c.Forwarded != nil
		view.Local = view.Local || c.Local != nil
		view.Echo = view.Echo || c.Echo != nil
		view.Theory = view.Theory || c.TCP != nil
		row := sweepRow{Cell: c, Label: s.Label(c), Link: c.link()}
		view.Rows = append(view.Rows, row)
	}
	view.Maps = s.maps(view.Forwarded)
	view.Charts = s.charts()
	var out bytes.Buffer
	if err := sweepPage.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return out.Bytes(), nil
}

func (c Cell) link() string {
	if c.Run == "" {
		return ""
	}
	return c.Run + "/report.html"
}

func sweepHeadline(s Sweep) string {
	counts := map[checker.Verdict]int{}
	for _, c := range s.Cells {
		counts[c.Verdict]++
	}
	var words []string
	for _, v := range []checker.Verdict{checker.Invalid, checker.Unknown, checker.Valid} {
		if counts[v] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[v], v))
		}
	}
	if s.Missing > 0 {
		words = append(words, fmt.Sprintf("%d not played", s.Missing))
	}
	return fmt.Sprintf("%s: %s", count(len(s.Cells), "cell"), strings.Join(words, ", "))
}

func sweepFacts(s Sweep) []pair {
	var systems, runtimes index
	for _, c := range s.Cells {
		if c.Verdict != "" {
			systems.of(c.System)
			runtimes.of(c.Runtime)
		}
	}
	all := []pair{{"System", strings.Join(systems.list, ", ")}, {"Runtime", strings.Join(runtimes.list, ", ")}, {"Seed", seed(Data{Seed: s.Seed})}}
	for _, a := range s.Axes {
		all = append(all, pair{a.Key, strings.Join(a.Values, ", ")})
	}
	return slices.DeleteFunc(all, func(p pair) bool { return p.Value == "" })
}

func (s Sweep) maps(forwarded bool) []heatMap {
	which := ""
	if forwarded {
		which = ", requests to another datacenter"
	}
	shown := func(of func(v, alone *Served) (text, sub string)) func(Cell) (string, string) {
		return func(c Cell) (string, string) {
			v := c.shown()
			if v == nil {
				return "–", ""
			}
			alone := c.Echo
			if alone == nil {
				alone = c.TCP
			}
			return of(v, alone)
		}
	}
	latency := func(of func(*Served) float64) func(Cell) (string, string) {
		return shown(func(v, alone *Served) (text, sub string) {
			if alone != nil {
				sub = "TCP alone " + ofSeconds(of(alone))
			}
			return ofSeconds(of(v)), sub
		})
	}
	p50, p99 := func(v *Served) float64 { return v.P50Seconds }, func(v *Served) float64 { return v.P99Seconds }
	recovery := func(c Cell) *float64 {
		if v := c.shown(); v != nil {
			return v.RecoverySeconds
		}
		return nil
	}
	all := []heatMap{
		{Title: "Verdict", Note: "Below it the checkers that say so.", Tables: s.tables(func(c Cell) (string, string) {
			names := c.Invalid
			if c.Verdict == checker.Unknown {
				names = c.Unknown
			}
			return mark(c.Verdict) + " " + string(c.Verdict), shorten(strings.Join(names, ", "), 40)
		}, nil)},
		{Title: "Success" + which, Note: "The share of requests that were served before the final reads, faults included. A compare-and-set whose comparison did not hold is served.",
			Tables: s.tables(shown(func(v, alone *Served) (text, sub string) {
				if alone != nil {
					sub = "TCP alone " + percent(alone.Success)
				}
				return percent(v.Success), sub
			}), func(c Cell) (float64, bool) {
				v := c.shown()
				if v == nil {
					return 0, false
				}
				return max(1-v.Success, leastLost), true
			})},
		{Title: "Latency, median" + which, Note: "Of what was served.", Tables: s.tables(latency(p50), shownOf(p50))},
		{Title: "Latency, 99th percentile" + which, Note: "Of what was served. Far above what TCP alone takes is the system's own queueing or retrying; far below it, the fault did not bite.", Tables: s.tables(latency(p99), shownOf(p99))},
	}
	if !slices.ContainsFunc(s.Cells, func(c Cell) bool { v := c.shown(); return v != nil && (v.RecoverySeconds != nil || v.Unrecovered > 0) }) {
		return all
	}
	return append(all, heatMap{Title: "Recovery after the last heal" + which, Note: "Until a change that was asked for after the heal was served.", Tables: s.tables(func(c Cell) (string, string) {
		switch v := c.shown(); {
		case v == nil, v.RecoverySeconds == nil && v.Unrecovered == 0:
			return "–", ""
		case v.RecoverySeconds == nil:
			return never, ""
		default:
			return ofSeconds(*v.RecoverySeconds), ""
		}
	}, func(c Cell) (float64, bool) {
		if r := recovery(c); r != nil {
			return *r, true
		}
		return 0, false
	})})
}

// never is what became of a recovery that did not come.
const never = "never"

// leastLost is the share of failures below which no cell looks better than another.
const leastLost = 1e-4

func shownOf(of func(*Served) float64) func(Cell) (float64, bool) {
	return func(c Cell) (float64, bool) {
		if v := c.shown(); v != nil && v.Served > 0 {
			return of(v), true
		}
		return 0, false
	}
}

// tables lays the cells out: the last axis in columns, the one before it in rows, a table for each combination of the others.
// Colours go by the logarithm of a number, from the least to the most of all cells; by the verdict if number is nil.
func (s Sweep) tables(text func(Cell) (string, string), number func(Cell) (float64, bool)) (all []heatTable) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range s.Cells {
		if c.Verdict == "" || number == nil {
			continue
		}
		if v, ok := number(c); ok {
			low, high = min(low, v), max(high, v)
		}
	}
	columns := s.Axes[len(s.Axes)-1]
	rows := Axis{Values: []string{""}}
	if n := len(s.Axes); n > 1 {
		rows = s.Axes[n-2]
	}
	wide := len(columns.Values)
	for from := 0; from < len(s.Cells); from += wide * len(rows.Values) {
		t := heatTable{Row: rows.Key, Column: columns.Key, Columns: columns.Values, Rows: rows.Values}
		for i, a := range s.Axes[:max(0, len(s.Axes)-2)] {
			t.Caption = strings.TrimSpace(t.Caption + " " + a.Key + "=" + s.Cells[from].Values[i])
		}
		for r := range rows.Values {
			var row []heat
			for _, c := range s.Cells[from+r*wide : from+(r+1)*wide] {
				row = append(row, s.heat(c, text, number, low, high))
			}
			t.Cells = append(t.Cells, row)
		}
		all = append(all, t)
	}
	return all
}

func (s Sweep) heat(c Cell, text func(Cell) (string, string), number func(Cell) (float64, bool), low, high float64) heat {
	h := heat{Title: s.Label(c), Link: c.link(), Class: "none", Text: "not played"}
	if c.Verdict == "" {
		return h
	}
	h.Text, h.Sub = text(c)
	if c.Why != "" {
		h.Title += ": " + c.Why
	}
	if number == nil {
		h.Class = string(c.Verdict)
		return h
	}
	if h.Text == never {
		h.Class = never
	}
	if v, ok := number(c); ok {
		h.Class = "scaled"
		if high > low && low > 0 {
			h.Share = int(math.Round(100 * math.Log(v/low) / math.Log(high/low)))
		}
	}
	return h
}

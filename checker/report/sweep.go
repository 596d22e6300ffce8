package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"faultline/checker"
)

// Sweep is one scenario played with every combination of some values. Its JSON is what programs read, so fields
// are only ever added.
type Sweep struct {
	Scenario  string          `json:"scenario"`
	Doc       string          `json:"doc,omitempty"`
	Seed      uint64          `json:"seed"`      // of every cell, unless it is varied
	Verdict   checker.Verdict `json:"verdict"`   // the worst of all cells; unknown at best while some are missing
	Directory string          `json:"directory"` // holds the page, and every cell's run
	Axes      []Axis          `json:"axes"`
	Cells     []Cell          `json:"cells"`             // the last axis turns fastest
	Missing   int             `json:"missing"`           // cells that have no verdict
	Stopped   string          `json:"stopped,omitempty"` // why
}

// Axis is a field of the scenario, or of its links between datacenters, and the values that it takes.
type Axis struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// Cell is one combination. Without a verdict it was not played yet.
type Cell struct {
	Values       []string        `json:"values"` // one of each axis
	Verdict      checker.Verdict `json:"verdict,omitempty"`
	Invalid      []string        `json:"invalid,omitempty"` // checkers
	Unknown      []string        `json:"unknown,omitempty"`
	ServiceLevel checker.Verdict `json:"service_level,omitempty"`
	Why          string          `json:"why,omitempty"`     // of a verdict that is not valid: what weighs most
	Run          string          `json:"run,omitempty"`     // run directory, below that of the sweep
	Command      string          `json:"command,omitempty"` // repeats the run
	Runtime      string          `json:"runtime,omitempty"`
	System       string          `json:"system,omitempty"`

	All       *Served `json:"all,omitempty"`
	Local     *Served `json:"local,omitempty"`     // requests for data of the datacenter that is asked, if there are several
	Forwarded *Served `json:"forwarded,omitempty"` // for those of another one

	Echo *Served `json:"echo,omitempty"` // what a bare echo over TCP on the same links gave in the same run
	TCP  *Served `json:"tcp,omitempty"`  // what TCP alone would give in theory; see TCPAlone
}

// Served is how requests were served.
type Served struct {
	Asked      int     `json:"asked"`
	Served     int     `json:"served"`
	Success    float64 `json:"success"`
	Low        float64 `json:"low"` // 95 % interval of it
	High       float64 `json:"high"`
	P50Seconds float64 `json:"p50_seconds"` // of those that were served
	P99Seconds float64 `json:"p99_seconds"`
	// RecoverySeconds is from the last heal until a change was served; absent without one, or if none was.
	RecoverySeconds *float64 `json:"recovery_seconds,omitempty"`
	Unrecovered     int      `json:"unrecovered,omitempty"` // heals after which no change was served any more
}

// ServedOf is a service in numbers; nil if nobody asked for anything.
func ServedOf(s checker.Service) *Served {
	if s.Asked == 0 {
		return nil
	}
	v := Served{Asked: s.Asked, Served: s.Served, P50Seconds: s.Latency(0.5).Seconds(), P99Seconds: s.Latency(0.99).Seconds(), Unrecovered: len(s.Lost)}
	v.Success, v.Low, v.High = s.Success()
	if s.Recovered != nil {
		v.RecoverySeconds = new(s.Recovered.Seconds())
	}
	return &v
}

// Label names a combination: wan.loss=0.05 wan.rtt=40ms.
func (s Sweep) Label(c Cell) string {
	var words []string
	for i, a := range s.Axes {
		words = append(words, a.Key+"="+c.Values[i])
	}
	return strings.Join(words, " ")
}

// Finish counts what is missing, and takes the worst verdict.
func (s *Sweep) Finish() {
	var all []checker.Verdict
	s.Missing = 0
	for _, c := range s.Cells {
		if c.Verdict == "" {
			s.Missing++
			all = append(all, checker.Unknown)
			continue
		}
		all = append(all, c.Verdict)
	}
	s.Verdict = checker.Worst(all...)
}

// sweepColumns are the columns of the CSV after those of the axes.
var sweepColumns = []struct {
	name string
	of   func(Cell) string
}{
	{"verdict", func(c Cell) string { return string(c.Verdict) }},
	{"invalid", func(c Cell) string { return strings.Join(c.Invalid, " ") }},
	{"unknown", func(c Cell) string { return strings.Join(c.Unknown, " ") }},
	{"service_level", func(c Cell) string { return string(c.ServiceLevel) }},
}

// servedColumns are those of each kind of requests, after its name.
var servedColumns = []struct {
	name string
	of   func(Served) string
}{
	{"asked", func(s Served) string { return strconv.Itoa(s.Asked) }},
	{"success", func(s Served) string { return number(s.Success) }},
	{"success_low", func(s Served) string { return number(s.Low) }},
	{"success_high", func(s Served) string { return number(s.High) }},
	{"p50_seconds", func(s Served) string { return number(s.P50Seconds) }},
	{"p99_seconds", func(s Served) string { return number(s.P99Seconds) }},
	{"recovery_seconds", func(s Served) string {
		if s.RecoverySeconds == nil {
			return ""
		}
		return number(*s.RecoverySeconds)
	}},
}

func (c Cell) kinds() []pairOf[*Served] {
	return []pairOf[*Served]{{"all", c.All}, {"local", c.Local}, {"forwarded", c.Forwarded}, {"echo", c.Echo}, {"tcp", c.TCP}}
}

type pairOf[T any] struct {
	name  string
	value T
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// SweepCSV is a row for each cell, below the names of the columns.
func SweepCSV(s Sweep) (string, error) {
	var out strings.Builder
	w := csv.NewWriter(&out)
	var head []string
	for _, a := range s.Axes {
		head = append(head, a.Key)
	}
	for _, c := range sweepColumns {
		head = append(head, c.name)
	}
	for _, kind := range (Cell{}).kinds() {
		for _, c := range servedColumns {
			head = append(head, kind.name+"_"+c.name)
		}
	}
	rows := [][]string{append(head, "run")}
	for _, cell := range s.Cells {
		row := slices.Clone(cell.Values)
		for _, c := range sweepColumns {
			row = append(row, c.of(cell))
		}
		for _, kind := range cell.kinds() {
			for _, c := range servedColumns {
				text := ""
				if kind.value != nil {
					text = c.of(*kind.value)
				}
				row = append(row, text)
			}
		}
		rows = append(rows, append(row, cell.Run))
	}
	for _, row := range rows {
		for i, text := range row {
			row[i] = VisibleLine(text)
		}
	}
	err := w.WriteAll(rows)
	return out.String(), err
}

// TerminalSweep is a line for each cell.
func TerminalSweep(s Sweep) string {
	var b strings.Builder
	for _, c := range s.Cells {
		if c.Verdict == "" {
			fmt.Fprintf(&b, "–        %s: not played\n", s.Label(c))
			continue
		}
		fmt.Fprintf(&b, "%-8s %s", c.Verdict, s.Label(c))
		if v := c.shown(); v != nil {
			fmt.Fprintf(&b, ": %s served, p50 %s, p99 %s", percent(v.Success), ofSeconds(v.P50Seconds), ofSeconds(v.P99Seconds))
		}
		if text := strings.Join(append(slices.Clone(c.Invalid), c.Unknown...), ", "); text != "" {
			fmt.Fprintf(&b, " (%s)", text)
		}
		b.WriteString("\n")
	}
	return Visible(b.String())
}

// shown is what the maps are about: requests to another datacenter, if there are any.
func (c Cell) shown() *Served { return cmp.Or(c.Forwarded, c.All) }

func ofSeconds(s float64) string { return span(time.Duration(s * float64(time.Second))) }

// percent keeps the digits that part 99.99 from 100.
func percent(share float64) string {
	digits := 1
	if lost := 1 - share; lost > 0 && lost < 0.01 {
		digits = 2
	}
	text := strconv.FormatFloat(100*share, 'f', digits, 64)
	if share < 1 && strings.HasPrefix(text, "100") {
		return "> 99.99 %"
	}
	return strings.TrimSuffix(text, ".0") + " %"
}

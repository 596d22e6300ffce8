package report

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
)

// wanSweep is a sweep of six losses and three round trips, of which one cell was not played.
func wanSweep() Sweep {
	s := Sweep{Scenario: "wan", Doc: "Three datacenters.", Seed: 7, Directory: "store/sweeps/wan", Axes: []Axis{
		{"wan.loss", []string{"0", "0.01", "0.05", "0.1", "0.2", "0.3"}}, {"wan.rtt", []string{"40ms", "150ms", "300ms"}}}}
	for i, loss := range []float64{0, 0.01, 0.05, 0.1, 0.2, 0.3} {
		for j, rtt := range []time.Duration{40 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
			alone := TCPAlone(rtt, loss, 3*time.Second)
			of := func(slower, lost float64) *Served {
				asked := 1000
				served := int(float64(asked) * (1 - lost))
				low, high := checker.Wilson(served, asked)
				return &Served{Asked: asked, Served: served, Success: float64(served) / float64(asked), Low: low, High: high,
					P50Seconds: alone.P50Seconds*slower + 0.002, P99Seconds: min(3, alone.P99Seconds*slower+0.01), RecoverySeconds: new(0.3 + float64(i)*0.2 + rtt.Seconds())}
			}
			c := Cell{Values: []string{s.Axes[0].Values[i], s.Axes[1].Values[j]}, Verdict: checker.Valid, ServiceLevel: checker.Valid,
				Run: "cell/wan/20261128T000000.000Z", Command: "faultline test …", Runtime: "local", System: "agent", All: of(0.7, loss/20), Local: of(0.05, 0), Forwarded: of(1.3, loss/10), Echo: of(0.95, loss/200), TCP: &alone}
			switch {
			case i == 4 && j == 2:
				c.Verdict, c.ServiceLevel, c.Invalid, c.Why = checker.Invalid, checker.Invalid, []string{checker.ServiceLevelName}, "service-level: p99 is <3 s>"
			case i == 5 && j == 1:
				c.Verdict, c.Unknown, c.Why = checker.Unknown, []string{"load", "faults"}, "load: too little"
				c.Forwarded.RecoverySeconds, c.Forwarded.Unrecovered = nil, 1
			case i == 5 && j == 2:
				c = Cell{Values: c.Values}
			}
			s.Cells = append(s.Cells, c)
		}
	}
	s.Stopped = "interrupted"
	s.Finish()
	return s
}

func TestASweepCountsItsCells(t *testing.T) {
	s := wanSweep()
	require.Equal(t, 1, s.Missing)
	require.Equal(t, checker.Invalid, s.Verdict)
	require.Equal(t, "18 cells: 1 invalid, 1 unknown, 15 valid, 1 not played", sweepHeadline(s))
	for i := range s.Cells {
		if s.Cells[i].Verdict == checker.Invalid {
			s.Cells[i].Verdict = checker.Valid
		}
	}
	s.Finish()
	require.Equal(t, checker.Unknown, s.Verdict, "what was not played is not known")
}

func TestASweepInTheTerminal(t *testing.T) {
	golden(t, "sweep-terminal.golden", TerminalSweep(wanSweep()))
}

func TestASweepAsCSV(t *testing.T) {
	text, err := SweepCSV(wanSweep())
	require.NoError(t, err)
	golden(t, "sweep-csv.golden", text)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+18)
}

func TestASweepAsJSONReadsBack(t *testing.T) {
	text, err := json.Marshal(wanSweep())
	require.NoError(t, err)
	var again Sweep
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, wanSweep(), again)
	for _, name := range []string{`"axes":[{"key":"wan.loss","values":["0",`, `"p99_seconds":`, `"recovery_seconds":`, `"service_level":"invalid"`, `"missing":1`, `"tcp":{`, `"echo":{`} {
		require.Contains(t, string(text), name)
	}
}

func TestThePageOfASweep(t *testing.T) {
	page, err := SweepHTML(wanSweep())
	require.NoError(t, err)
	text := string(page)
	for _, has := range []string{
		"<title>invalid: sweep wan", "18 cells: 1 invalid, 1 unknown, 15 valid, 1 not played", "1 of 18 cells have no verdict: interrupted. The same command plays them.",
		`href="cell/wan/20261128T000000.000Z/report.html" title="wan.loss=0.2 wan.rtt=300ms: service-level: p99 is &lt;3 s&gt;"`,
		"Latency, 99th percentile, requests to another datacenter", "TCP alone 1.15 s", "<dd>local</dd>", "never", "wan.rtt = 150ms", `class="theory p99"`, `class="echo p99"`, `class="system p99"`,
	} {
		require.True(t, strings.Contains(text, has), has)
	}
	require.Equal(t, 17*5+17, strings.Count(text, "report.html\""), "every cell that was played leads to its run, from five maps and the table")
	require.NotContains(t, text, "ZgotmplZ")
}

// One axis makes a row, three make a table for each value of the first.
func TestSweepsOfOneAndThreeAxes(t *testing.T) {
	one := Sweep{Axes: []Axis{{"rate", []string{"1", "2"}}}, Cells: []Cell{{Values: []string{"1"}, Verdict: checker.Valid, Run: "r"}, {Values: []string{"2"}}}}
	tables := one.tables(func(c Cell) (string, string) { return c.Values[0], "" }, nil)
	require.Equal(t, []heatTable{{Column: "rate", Columns: []string{"1", "2"}, Rows: []string{""},
		Cells: [][]heat{{{Text: "1", Title: "rate=1", Class: "valid", Link: "r/report.html"}, {Text: "not played", Title: "rate=2", Class: "none"}}}}}, tables)
	three := Sweep{Axes: []Axis{{"a", []string{"1", "2"}}, {"b", []string{"3", "4"}}, {"c", []string{"5", "6"}}}}
	for _, a := range []string{"1", "2"} {
		for _, b := range []string{"3", "4"} {
			for _, c := range []string{"5", "6"} {
				three.Cells = append(three.Cells, Cell{Values: []string{a, b, c}, Verdict: checker.Valid})
			}
		}
	}
	tables = three.tables(func(c Cell) (string, string) { return strings.Join(c.Values, ""), "" }, nil)
	require.Len(t, tables, 2)
	require.Equal(t, "a=2", tables[1].Caption)
	require.Equal(t, "246", tables[1].Cells[1][1].Text)
	for _, s := range []Sweep{one, three} {
		_, err := SweepHTML(s)
		require.NoError(t, err)
	}
}

// Colours go from the least to the most, by the logarithm.
func TestTheColoursOfAMap(t *testing.T) {
	var s Sweep
	s.Axes = []Axis{{"rate", []string{"1", "2", "3"}}}
	for i, p99 := range []float64{0.01, 0.1, 1} {
		s.Cells = append(s.Cells, Cell{Values: s.Axes[0].Values[i : i+1], Verdict: checker.Valid, All: &Served{Served: 1, P99Seconds: p99}})
	}
	var shares []int
	for _, h := range s.tables(func(Cell) (string, string) { return "", "" }, shownOf(func(v *Served) float64 { return v.P99Seconds }))[0].Cells[0] {
		shares = append(shares, h.Share)
	}
	require.Equal(t, []int{0, 50, 100}, shares)
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{1: "100 %", 0.999: "99.90 %", 0.9999: "99.99 %", 0.99999: "> 99.99 %", 0.95: "95 %", 0.9512: "95.1 %", 0: "0 %"} {
		require.Equal(t, want, percent(share))
	}
}

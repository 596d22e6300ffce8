package report

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

// runUntil is a run whose last events are at end: one operation from its start on, one that
// begins with it, a fault and a leader over all of it, and a counterexample of all that.
func runUntil(end int64) Data {
	raw := history.Int(1)
	ops := []history.Operation{
		{Process: 1, F: "write", Key: "k", Node: "dc1-s1", Input: raw, Invoke: 0, Return: end, Type: history.OK},
		{Process: 2, F: "read", Key: "k", Node: "dc1-s1", Output: raw, Invoke: end / 2, Return: end, Type: history.Fail, Error: "no-leader"},
		{Process: 3, F: "write", Key: "k", Node: "dc1-s2", Input: raw, Invoke: end, Return: history.Pending, Type: history.Info, Error: "timeout"},
		{Process: 4, F: "write", Key: "k", Node: "dc1-s2", Input: raw, Invoke: end, Return: end, Type: history.OK},
	}
	return Data{
		Scenario: "times", Verdict: checker.Invalid, Length: time.Duration(end),
		Results: []checker.Result{{Checker: "linearizable", Verdict: checker.Invalid, Summary: "not so",
			Counterexamples: []checker.Counterexample{{Key: "k", Why: "of times", Of: 4, Ops: ops}}}},
		Run: &checker.Run{
			Ops:      ops,
			Faults:   []history.Fault{{Name: "kill", Targets: []string{"dc1-s1"}, Start: 0, Heal: end / 2, Healed: end}},
			Topology: topologies.Topology{Name: "t", Datacenters: []topologies.Datacenter{{Name: "dc1", Servers: topologies.Members{Count: 3}}}},
			Events: []history.Event{
				{Process: history.Harness, F: history.FPhase, Value: []byte(`"faults"`)},
				{Process: history.Observer, F: history.FObserve, Node: "dc1-s1", Value: []byte(`{"state":"Leader","term":1}`)},
				{Time: end, Process: history.Harness, F: history.FPhase, Value: []byte(`"end"`)},
			},
		},
	}
}

// requireEveryReport makes every report of a run, and demands that each is whole and small:
// nothing in it may grow with the time of the run.
func requireEveryReport(t *testing.T, end int64) {
	t.Helper()
	d := runUntil(end)
	page, err := HTML(d)
	require.NoError(t, err)
	requireBalanced(t, page)
	require.Less(t, len(page)-len(pageCSS)-len(pageJS), 100_000)
	figure, _ := drawRun(d, nil, bucketsOf(d.Run.Ops, extent(d), bucketWidth(extent(d))), bucketWidth(extent(d)))
	requireForward(t, string(figure))
	story := storyOf(1, d.Results[0].Counterexamples[0], d.Run)
	requireForward(t, string(story.Drawing))
	from, err := strconv.ParseFloat(story.From, 64)
	require.NoError(t, err)
	till, err := strconv.ParseFloat(story.Till, 64)
	require.NoError(t, err)
	require.True(t, 0 <= from && from < till, "%s to %s", story.From, story.Till)

	cases, err := JUnitSuite("times", []Data{d, d})
	require.NoError(t, err)
	var suites junitSuites
	require.NoError(t, xml.Unmarshal(cases, &suites))
	require.False(t, strings.HasPrefix(suites.Time, "-"), suites.Time)

	for _, text := range []string{Terminal(d, false, 80), TerminalSuite([]Data{d}, false, 80), Markdown(d), MarkdownSuite("times", []Data{d})} {
		require.Less(t, len(text), 10_000)
		require.NotRegexp(t, `-\d+(\.\d+)? (s|ms|µs|ns)\b`, text, "a time before the run")
	}
}

// requireForward demands sizes that a browser draws: no bar goes backwards.
func requireForward(t *testing.T, drawing string) {
	t.Helper()
	for _, bar := range strings.Split(drawing, "M")[1:] {
		if at := strings.Index(bar, "h"); at >= 0 {
			require.False(t, strings.HasPrefix(bar[at:], "h-"), "a bar that goes backwards: %.60s", bar)
		}
	}
	require.NotRegexp(t, `(width|height)="-|="(NaN|[+-]?Inf)`, drawing)
}

func TestReportsOfAnyTime(t *testing.T) {
	for _, end := range []int64{0, 1, int64(time.Millisecond), int64(time.Minute), int64(7 * 24 * time.Hour), 1 << 62, math.MaxInt64 - 1, math.MaxInt64} {
		t.Run(strconv.FormatInt(end, 10), func(t *testing.T) { requireEveryReport(t, end) })
	}
}

func FuzzReportsOfAnyTime(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, end int64) { requireEveryReport(t, max(end, 0)) })
}

func requireTicks(t *testing.T, end int64, wanted int) {
	t.Helper()
	all := timeTicks(end, wanted)
	require.LessOrEqual(t, len(all), wanted+1)
	require.Equal(t, tick{0, "0"}, all[0])
	for i := 1; i < len(all); i++ {
		require.Equal(t, all[1].At, all[i].At-all[i-1].At)
		require.LessOrEqual(t, all[i].At, end)
	}
	require.Greater(t, all[len(all)-1].At, end-all[min(1, len(all)-1)].At-int64(time.Millisecond), "they reach to the end")
}

func TestTicks(t *testing.T) {
	labels := func(end time.Duration) string {
		var all []string
		for _, tick := range timeTicks(int64(end), 6) {
			all = append(all, tick.Label)
		}
		return strings.Join(all, " ")
	}
	require.Equal(t, "0 10s 20s 30s 40s 50s 1m", labels(time.Minute))
	require.Equal(t, "0 48h 96h 144h", labels(7*24*time.Hour))
	require.Equal(t, "0 427008h 854016h 1281024h 1708032h 2135040h", labels(math.MaxInt64))
	for _, end := range []int64{1, int64(time.Millisecond), int64(7 * 24 * time.Hour), math.MaxInt64 - 1, math.MaxInt64} {
		requireTicks(t, end, 12)
	}
}

func FuzzTicks(f *testing.F) {
	f.Add(int64(1), 12)
	f.Add(int64(math.MaxInt64), 0)
	f.Fuzz(func(t *testing.T, end int64, wanted int) {
		requireTicks(t, max(end, 0), 2+(wanted&63))
	})
}

func requireDecades(t *testing.T, low, high int64) {
	t.Helper()
	all := decades(low, high)
	require.LessOrEqual(t, len(all), 19)
	require.LessOrEqual(t, all[0], max(low, 1))
	for i := 1; i < len(all); i++ {
		require.Equal(t, all[i-1]*10, all[i])
	}
}

func TestDecadesOfAnyTime(t *testing.T) {
	require.Equal(t, []int64{100, 1000, 10_000}, decades(250, 1001))
	require.Equal(t, []int64{1}, decades(0, 0))
	for _, low := range []int64{math.MinInt64, 0, 1, 10, 1e18, math.MaxInt64} {
		for _, high := range []int64{0, 1, 1e18, math.MaxInt64} {
			requireDecades(t, low, high)
		}
	}
	require.Equal(t, "-9223372037 s", span(math.MinInt64))
}

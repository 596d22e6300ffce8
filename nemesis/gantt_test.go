package nemesis

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestGantt(t *testing.T) {
	s := parse(t, `steps:
  - {at: 3s, for: 5s, fault: partition, target: minority, oneway: in, draw: 4}
  - {at: 1s, for: 12s, fault: kill, target: [dc1-s2]}
  - {at: 9s, fault: transfer}
  - {at: 10s, for: 10s, fault: partition, target: primary, reject: true}
  - {at: 24s, fault: deposed-leader-reads}
  - {at: 26s, for: 10ms, fault: pause, target: all}
`)
	topology := layout(t, "dc1-5c2")
	golden(t, "gantt.txt", Gantt(s, topology, 100)+"\n"+Gantt(s, topology, 60)+"\n"+Gantt(Schedule{}, topology, 100))
	for width := range 130 {
		for _, line := range strings.Split(Gantt(s, topology, width), "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, minWidth))
		}
	}
}

// ganttOf draws two steps that need no check: one from at for a time, one that is momentary.
func ganttOf(t testing.TB, at, lasts time.Duration, width int) string {
	s := Schedule{Steps: []Step{{At: at, For: lasts, Fault: Kill{}, Target: Names("dc1-s1")}, {At: at, Fault: Transfer{}}}}
	chart := Gantt(s, layout(t, "dc1-3"), width)
	lines := strings.Split(chart, "\n")
	require.Len(t, lines, 4, chart)
	for _, line := range lines {
		require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, minWidth))
	}
	require.Contains(t, lines[0], "|0s")
	require.Equal(t, len(strings.Fields(lines[0])), strings.Count(lines[0], "|"), "ticks do not touch: %s", lines[0])
	return chart
}

func TestGanttOfAnyTime(t *testing.T) {
	const days = 7 * 24 * time.Hour
	times := []time.Duration{0, 1, time.Second, 36 * time.Hour, days, math.MaxInt64 - 1, math.MaxInt64}
	for _, at := range times {
		for _, lasts := range times {
			for _, width := range []int{0, 50, 100, 1000} {
				ganttOf(t, at, lasts, width)
			}
		}
	}
	golden(t, "gantt-long.txt", ganttOf(t, days/2, days/2, 100)+"\n"+ganttOf(t, math.MaxInt64/3, math.MaxInt64/3, 100)+
		"\n"+ganttOf(t, math.MaxInt64, math.MaxInt64, 100)+"\n"+ganttOf(t, -1, 1, 100))
}

func TestATimeBeyondEveryRunIsRefused(t *testing.T) {
	three := layout(t, "dc1-3")
	for step, refused := range map[string]bool{
		"{at: 168h, for: 168h, fault: kill, target: all}":              false,
		"{at: 168h0m1s, fault: transfer}":                              true,
		"{at: 1s, for: 168h0m1s, fault: kill, target: all}":            true,
		"{at: 2562047h, fault: transfer}":                              true,
		"{at: 2562047h, for: 2562047h, fault: kill, target: [dc1-s1]}": true,
	} {
		s := parse(t, "steps:\n  - "+step+"\n")
		require.Positive(t, s.End(), "no sum of times turns negative")
		if err := s.Check(three, everything); refused {
			require.ErrorContains(t, err, "want at most 168h0m0s", step)
		} else {
			require.NoError(t, err, step)
		}
	}
}

func FuzzGantt(f *testing.F) {
	f.Add(int64(0), int64(1), 100)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), 50)
	f.Add(int64(7*24*time.Hour), int64(time.Hour), 300)
	f.Add(int64(-5), int64(math.MinInt64), -1)
	f.Fuzz(func(t *testing.T, at, lasts int64, width int) {
		ganttOf(t, time.Duration(at), time.Duration(lasts), width%500)
	})
}

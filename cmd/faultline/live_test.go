package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker/report"
	"faultline/workloads/history"
)

var aStatus = faultline.Status{Scenario: "crashes", Phase: history.PhaseFaults, Left: 12 * time.Second, OpsPerSec: 299.6,
	OK: 1000, Fail: 2, Info: 3, Faults: []string{"kill one", "partition [dc1-s1]"}, Leader: "dc1-s2"}

func TestAStatusTellsWhatOneLooksForFirst(t *testing.T) {
	require.Equal(t, "crashes: faults, 12 s left  300 ops/s  leader dc1-s2  kill one + partition [dc1-s1]  ok 1000 fail 2 info 3", words(aStatus))
	require.Equal(t, ": , 0 s left  0 ops/s  leader none  no fault  ok 0 fail 0 info 0", words(faultline.Status{}))
}

// rows are what a terminal shows down to its cursor after all that was written.
func rows(written string) []string {
	shown := []string{""}
	for len(written) > 0 {
		last := len(shown) - 1
		switch {
		case strings.HasPrefix(written, erasure):
			shown[last], written = "", written[len(erasure):]
		case strings.HasPrefix(written, upwards):
			shown, written = shown[:last], written[len(upwards):]
		case written[0] == '\n':
			shown, written = append(shown, ""), written[1:]
		default:
			shown[last], written = shown[last]+written[:1], written[1:]
		}
	}
	return shown
}

const erasure, upwards = "\r\x1b[K", "\x1b[A"

func TestInATerminalTheStatusIsOneRowThatIsRewritten(t *testing.T) {
	for _, width := range []int{1, 2, 20, 80, 300} {
		var out bytes.Buffer
		l := &live{out: &out, terminal: true, width: func() int { return width }, start: time.Now()}
		l.Status(aStatus)
		l.Status(aStatus)
		require.Len(t, rows(out.String()), 1)
		require.LessOrEqual(t, len(rows(out.String())[0]), max(0, width-spare), "it would wrap")
		l.Say("fault: kill one")
		l.Status(aStatus)
		l.print(&out, "")
		require.Equal(t, []string{"   0.0s  fault: kill one", ""}, rows(out.String()), "what happened stays, and a report begins on an empty row")
		before := out.Len()
		l.print(&out, "")
		require.Equal(t, before, out.Len(), "nothing is erased twice")
	}
}

func TestInATerminalEveryRunHasARow(t *testing.T) {
	var out bytes.Buffer
	l := &live{out: &out, terminal: true, width: func() int { return 200 }, start: time.Now()}
	other := aStatus
	other.Scenario = "links"
	for range 3 {
		l.Status(aStatus)
		l.Status(other)
		l.Say("fault: kill one")
	}
	l.Status(aStatus)
	shown := rows(out.String())
	require.Len(t, shown, 5)
	require.Contains(t, shown[3], "crashes: faults")
	require.Contains(t, shown[4], "links: faults")
	l.runs[0].at = time.Now().Add(-2 * forgotten)
	l.Status(other)
	require.Len(t, rows(out.String()), 4, "who is silent has ended")
	l.print(&out, "report\n")
	require.Equal(t, []string{"report", ""}, rows(out.String())[3:])
}

func TestInAPipeThereAreWholeLinesNowAndThen(t *testing.T) {
	var out bytes.Buffer
	l := &live{out: &out, width: func() int { return 20 }, start: time.Now()}
	for range 50 {
		l.Status(aStatus)
	}
	l.Say("fault: kill one")
	l.print(&out, "")
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.NotContains(t, out.String(), "\x1b")
	require.Contains(t, out.String(), words(aStatus)+"\n", "a pipe has no width")
}

func TestNothingThatIsToldSteersTheTerminal(t *testing.T) {
	const steering = "\x1b[2J\u009b1m\u202e"
	stranger := aStatus
	stranger.Scenario, stranger.Leader, stranger.Faults = "s\ncrashes"+steering, "l\r"+steering, []string{"f\n" + steering}
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		l := &live{out: &out, terminal: terminal, width: func() int { return 300 }, start: time.Now()}
		l.Say("first " + steering + "\nsecond")
		l.Status(stranger)
		shown := rows(out.String())
		require.Equal(t, `   0.0s  first \x1b[2J\u009b1m\u202e`, shown[0])
		require.Equal(t, "second", shown[1], "lines stay lines")
		require.Contains(t, shown[2], `s crashes\x1b[2J\u009b1m\u202e: faults`)
		require.Contains(t, shown[2], `leader l\r\x1b[2J\u009b1m\u202e  f \x1b[2J`, "a status is one row")
		for _, row := range shown {
			require.Equal(t, report.Visible(row), row)
		}
	}
}

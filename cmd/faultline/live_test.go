package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/workloads/history"
)

var aStatus = faultline.Status{Scenario: "crashes", Phase: history.PhaseFaults, Left: 12 * time.Second, OpsPerSec: 299.6,
	OK: 1000, Fail: 2, Info: 3, Faults: []string{"kill one", "partition [dc1-s1]"}, Leader: "dc1-s2"}

func TestAStatusTellsWhatOneLooksForFirst(t *testing.T) {
	require.Equal(t, "crashes: faults, 12 s left  300 ops/s  leader dc1-s2  kill one + partition [dc1-s1]  ok 1000 fail 2 info 3", words(aStatus))
	require.Equal(t, ": , 0 s left  0 ops/s  leader none  no fault  ok 0 fail 0 info 0", words(faultline.Status{}))
}

// rows are what a terminal shows after all that was written: an erasure empties the row
// that the cursor is in.
func rows(written string) (shown []string) {
	for _, line := range strings.Split(written, "\n") {
		erased := strings.Split(line, "\r\x1b[K")
		shown = append(shown, erased[len(erased)-1])
	}
	return shown
}

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
		l.clear()
		require.Equal(t, []string{"   0.0s  fault: kill one", ""}, rows(out.String()), "what happened stays, and a report begins on an empty row")
		before := out.Len()
		l.clear()
		require.Equal(t, before, out.Len(), "nothing is erased twice")
	}
}

func TestInAPipeThereAreWholeLinesNowAndThen(t *testing.T) {
	var out bytes.Buffer
	l := &live{out: &out, width: func() int { return 20 }, start: time.Now()}
	for range 50 {
		l.Status(aStatus)
	}
	l.Say("fault: kill one")
	l.clear()
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.NotContains(t, out.String(), "\x1b")
	require.Contains(t, out.String(), words(aStatus)+"\n", "a pipe has no width")
}

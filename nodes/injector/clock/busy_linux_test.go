//go:build amd64 || arm64

package clock

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

const busyThreads = 4

// step is what wall clocks of the busy program are ahead by: a multiple, below steps.
const (
	step  = time.Hour
	steps = 5
)

// busy reads its clocks in several threads until a line comes, and then tells how often, and
// what was wrong: a wall clock that was not ahead by a multiple of step, or a monotonic clock that
// stepped back in a thread.
func busy() {
	var calls, wrong atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	fmt.Println("busy")
	for range busyThreads {
		all.Go(func() {
			for last := time.Now(); !over.Load(); calls.Add(1) {
				before, err := ask(unix.CLOCK_REALTIME)
				now := time.Now()
				after, err2 := ask(unix.CLOCK_REALTIME)
				if err != nil || err2 != nil || now.Sub(last) < 0 || !ahead(now.UnixNano(), before, after) {
					wrong.Add(1)
				}
				last = now
			}
		})
	}
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	over.Store(true)
	all.Wait()
	fmt.Println(calls.Load(), wrong.Load(), err)
}

func ahead(wall, before, after int64) bool {
	for i := range int64(steps) {
		if wall >= before+i*int64(step) && wall <= after+i*int64(step) {
			return true
		}
	}
	return false
}

// Threads that do nothing but read their clocks, under thousands of changes of all kinds: every
// reading is that of one setting, and monotonic clocks do not step back. Also while
// the entries are written and restored under them.
func TestBusyProcess(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("busy"))
	c.line(t)
	since := now(t)
	for i := range 3000 {
		// The strobe holds all the time: a reading that had it of one setting and the offset
		// of another would show no multiple of step.
		part := time.Duration(1+i%7) * time.Minute
		require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: time.Duration(i%steps)*step - part, Strobe: part, Period: year}, Since: since}))
		if i%300 == 299 {
			require.NoError(t, p.Restore())
		}
	}
	for i := range 12 { // the monotonic clock too: faster and slower
		require.NoError(t, p.Set(Setting{Clock: faults.Clock{Monotonic: []float64{2, -0.5, 0.5, 0}[i%4], Forward: time.Hour}}))
	}
	var calls, wrong int
	line := c.ask(t)
	_, err := fmt.Sscan(line, &calls, &wrong)
	require.NoError(t, err, line)
	t.Log(line)
	require.Zero(t, wrong)
	require.Greater(t, calls, 1000, strconv.Quote(line))
}

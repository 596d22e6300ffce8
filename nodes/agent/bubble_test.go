package agent

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// inBubble runs a test in virtual time. Two such tests must not run at a time, nor may the next find what the
// last has left: yamux keeps timers in a pool of the process, and one of another bubble ends the program. Two
// collections empty a sync.Pool.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}

package suite

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkersAreAllBusyAndNoMore(t *testing.T) {
	for _, workers := range []int{0, 1, 3} {
		var busy, most atomic.Int32
		var mu sync.Mutex
		var met sync.WaitGroup // of the first of every worker
		met.Add(max(1, workers))
		var begun []int
		require.NoError(t, forEach(t.Context(), workers, 12, func(i int) error {
			mu.Lock()
			begun = append(begun, i)
			first := len(begun) <= max(1, workers)
			mu.Unlock()
			now := busy.Add(1)
			defer busy.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			if first {
				met.Done()
				met.Wait()
			}
			return nil
		}))
		require.EqualValues(t, max(1, workers), most.Load())
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, begun)
	}
}

func TestAfterAFailureWhatHasBegunIsWaitedFor(t *testing.T) {
	bad := errors.New("bad")
	var ended atomic.Int32
	failed := make(chan struct{})
	err := forEach(t.Context(), 2, 100, func(i int) error {
		defer ended.Add(1)
		if i == 0 {
			close(failed)
			return bad
		}
		<-failed
		return nil
	})
	require.ErrorIs(t, err, bad)
	require.Less(t, ended.Load(), int32(100))

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, forEach(over, 2, 3, func(int) error { return bad }), "nothing was begun")
}

package workloads

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestABurstIsSentAtOnceAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Rate = 20 })
		ran := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ran <- b.Run(ctx) }()
		time.Sleep(time.Second)
		b.clients["b"].setTrouble(func(float64) trouble { return hang })
		began := time.Now()
		require.NoError(t, b.Burst(ctx, "b", 60))
		require.Zero(t, time.Since(began), "it does not wait for the answers")
		cancel()
		require.NoError(t, <-ran)

		_, ops := b.finish()
		seen := map[history.Process]bool{}
		for _, o := range ops {
			if o.Process < firstOneShot {
				continue
			}
			require.False(t, seen[o.Process], "a process of its own for every read")
			seen[o.Process] = true
			require.Equal(t, history.OpRead, o.F)
			require.Equal(t, "b", o.Node)
			require.Equal(t, history.Timeout, o.Error, "it was waited for")
		}
		require.Len(t, seen, 60)
	})
}

func TestABurstWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		require.NoError(t, b.Burst(t.Context(), "a", 5))
		require.NoError(t, b.Drain())
		require.ErrorContains(t, b.Burst(t.Context(), "nowhere", 5), "no client for node nowhere")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, b.Burst(ended, "a", 5), context.Canceled)
		_, ops := b.finish()
		require.Len(t, ops, 5)
		require.EqualValues(t, 5, b.Stats().ByF[history.OpRead].OK)
	})
}

// A store that answers a burst from an old copy is what bursts are there to find.
func TestABurstShowsAStaleNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(time.Second)
		old := newStore()
		for k, item := range b.clients["a"].items {
			old.items[k] = item
		}
		b.run(time.Second)
		b.clients["a"].store = old
		require.NoError(t, b.Burst(t.Context(), "a", 60))
		require.NoError(t, b.Drain())
		_, ops := b.finish()
		require.Equal(t, porcupine.Illegal, linearizable(ops))
	})
}

func TestFinalReadsEveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) {
			var err error
			c.Generator, err = NewRegister(Options{OpsPerKey: 50})
			require.NoError(t, err)
		})
		b.run(5 * time.Second)
		b.troubles(map[trouble]float64{refuse: 0.3, hang: 0.2})
		before := b.Log.Now()
		require.NoError(t, b.Final(t.Context()))
		require.Zero(t, b.Stats().Unread)

		_, ops := b.finish()
		used, read, asked := map[string]bool{}, map[string]int{}, map[string]bool{}
		for _, o := range ops {
			used[o.Key] = true
			if o.Invoke < before {
				continue
			}
			require.Equal(t, history.OpRead, o.F)
			asked[o.Node] = true
			if o.Type == history.OK {
				read[o.Key]++
			}
		}
		require.Greater(t, len(used), 20)
		require.Len(t, read, len(used))
		require.Len(t, asked, 3)
		for k, n := range read {
			require.Equal(t, 1, n, k)
		}
		requireLinearizable(t, ops)
	})
}

func TestFinalGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		require.NoError(t, b.Final(t.Context()), "nothing was used, so nothing is to be read")
		b.run(time.Second)
		b.troubles(map[trouble]float64{refuse: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, b.Final(ctx))
		require.Positive(t, b.Stats().Unread)
		require.Error(t, ctx.Err())
		b.finish()
	})
}

func TestFinalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) {
			var err error
			c.Generator, err = NewRegister(Options{OpsPerKey: 2})
			require.NoError(t, err)
			c.Rate = 1000
		})
		b.run(10 * time.Second)
		before := b.Stats().OK
		require.NoError(t, b.Final(t.Context()))
		require.EqualValues(t, finalKeys, b.Stats().OK-before)
		b.finish()
	})
}

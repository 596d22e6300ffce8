package workloads

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// server is a node with a copy of its own, which reads in mode stale are answered from.
type server struct {
	*fakeClient
	own *store
}

func (s *server) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	if op.Mode != history.ModeStale {
		return s.fakeClient.Do(ctx, op)
	}
	return s.call(ctx, func() (nodes.Answer, error) { return s.own.get(op.Key), nil })
}

// copiesBench has run, and read everything once more.
func copiesBench(t *testing.T) (*bench, map[string]*server) {
	servers := map[string]*server{}
	b := newBench(t, func(c *Config) {
		for n, conn := range c.Clients {
			fake := conn.(*fakeClient)
			servers[n] = &server{fake, fake.store}
			c.Clients[n] = servers[n]
		}
	})
	b.run(5 * time.Second)
	require.NoError(t, b.Final(t.Context()))
	return b, servers
}

// toldCopies are the events of copies, by node.
func toldCopies(events []history.Event) map[string][]history.Event {
	told := map[string][]history.Event{}
	for _, e := range events {
		if e.F == history.FCopy {
			told[e.Node] = append(told[e.Node], e)
		}
	}
	return told
}

func TestCopiesThatAgreeAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := copiesBench(t)
		keys := len(b.finals)
		require.Greater(t, keys, 5)
		before, began := b.Stats(), time.Now()
		require.NoError(t, b.Copies(t.Context(), history.ModeStale, b.Nodes))
		require.Less(t, time.Since(began), time.Second)
		require.Equal(t, before, b.Stats(), "they are no operations")
		events, ops := b.finish()
		for _, n := range b.Nodes {
			told := toldCopies(events)[n]
			require.Len(t, told, keys)
			for _, e := range told {
				require.Equal(t, history.Observer, e.Process)
				require.Equal(t, history.Info, e.Type)
				require.Equal(t, history.ModeStale, e.Mode)
				require.Positive(t, e.ModifyIndex)
				require.Empty(t, e.Error)
			}
		}
		for _, o := range ops {
			require.NotEqual(t, history.FCopy, o.F)
		}
	})
}

// A copy that differs is asked for until it does no more, and once more when time is up.
func TestACopyThatDiffersIsAskedForAgain(t *testing.T) {
	for name, mended := range map[string]bool{"until it agrees": true, "to the end": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, servers := copiesBench(t)
				servers["b"].own = newStore() // it lost everything
				const within = 10 * time.Second
				if mended {
					time.AfterFunc(within/2, func() {
						servers["b"].mu.Lock()
						defer servers["b"].mu.Unlock()
						servers["b"].own = servers["a"].own
					})
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				require.NoError(t, b.Copies(ctx, history.ModeStale, b.Nodes))
				took := time.Since(began)
				events, _ := b.finish()
				told := toldCopies(events)
				require.Len(t, told["a"], len(b.finals))
				last := map[string]history.Event{}
				for _, e := range told["b"] {
					last[e.Key] = e
				}
				require.Len(t, last, len(b.finals))
				for key, e := range last {
					if mended {
						require.NotEqual(t, "null", string(e.Value), key)
						continue
					}
					require.Equal(t, "null", string(e.Value), key)
					require.GreaterOrEqual(t, time.Duration(e.Time-told["b"][0].Time)+10*time.Millisecond, within, "all of them once more when time is up")
				}
				require.Equal(t, mended, took < 8*time.Second)
			})
		})
	}
}

func TestAServerThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, servers := copiesBench(t)
		servers["b"].setTrouble(func(float64) trouble { return hang })
		began := time.Now()
		require.NoError(t, b.Copies(t.Context(), history.ModeStale, b.Nodes))
		require.Less(t, time.Since(began), 5*time.Second)
		events, _ := b.finish()
		told := toldCopies(events)
		require.Len(t, told["b"], silentRounds)
		for _, e := range told["b"] {
			require.Equal(t, history.Timeout, e.Error)
			require.Empty(t, e.Value)
		}
		require.Len(t, told["c"], len(b.finals))
	})
}

// One that answers slowly ends soon after its time.
func TestSlowCopiesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, servers := copiesBench(t)
		for _, s := range servers {
			s.delay, s.own = 400*time.Millisecond, newStore()
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, b.Copies(ctx, history.ModeStale, b.Nodes))
		require.Less(t, time.Since(began), 1500*time.Millisecond+drainGrace)
		b.finish()
	})
}

func TestCopiesOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		require.NoError(t, b.Copies(t.Context(), history.ModeStale, b.Nodes), "nothing was read")
		require.NoError(t, b.Copies(t.Context(), history.ModeStale, nil))
		require.ErrorContains(t, b.Copies(t.Context(), history.ModeStale, []string{"nowhere"}), "no client for node nowhere")
		b.finish()
	})
}

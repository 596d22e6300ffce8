package workloads

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// watchedStore is a fakeClient whose store has deletions and watches, as Consul has them.
type watchedStore struct{ *fakeClient }

func (c watchedStore) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	switch op.F {
	case history.OpDelete:
		return c.call(ctx, func() (nodes.Answer, error) { return c.delete(op.Key), nil })
	case history.OpWatch:
		for end := time.Now().Add(op.Wait); op.Since > 0 && c.now(op.Key).Next <= op.Since && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		return c.call(ctx, func() (nodes.Answer, error) { return c.now(op.Key), nil })
	}
	return c.fakeClient.Do(ctx, op)
}

func (c watchedStore) delete(key string) nodes.Answer {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.index++
	delete(c.items, key)
	return nodes.Answer{Index: c.index}
}

// now is the state of a key, with its index, or that of the store if the key is absent.
func (c watchedStore) now(key string) nodes.Answer {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	a := c.items[key]
	if a.Next = a.Index; !a.Found {
		a.Next = max(c.index, 1)
	}
	return a
}

func watchedRun(t *testing.T, change func(*Config)) (ops []history.Operation, result checker.Result) {
	b := newBench(t, func(c *Config) {
		var err error
		c.Generator, err = NewWatch(Options{Seed: 7, Concurrency: 18, Timeout: 3 * time.Second})
		require.NoError(t, err)
		c.Timeout, c.Concurrency, c.Rate = 3*time.Second, 18, 200
		for name, client := range c.Clients {
			c.Clients[name] = watchedStore{client.(*fakeClient)}
		}
		if change != nil {
			change(c)
		}
	})
	b.troubles(map[trouble]float64{refuse: 0.02, lose: 0.05, forget: 0.05, hang: 0.01})
	b.run(30 * time.Second)
	b.troubles(nil)
	require.NoError(t, b.Final(t.Context()))
	events, ops := b.finish()
	run := &checker.Run{Settings: checker.Settings{Workload: "watch", RecoverWithin: 10 * time.Second}, Events: events, Ops: ops}
	return ops, Watch().Checkers[0].Check(context.Background(), run)
}

// Watches of a store that is correct are judged valid, whatever goes wrong on the way to it.
func TestWatchOnAStoreInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops, r := watchedRun(t, nil)
		require.Equal(t, checker.Valid, r.Verdict, r.Summary)
		good := map[history.Op]int{}
		for _, op := range ops {
			if op.Type == history.OK {
				good[op.F]++
			}
		}
		for _, f := range Watch().Ops {
			require.Greater(t, good[f], 150, f)
		}
	})
}

// deafStore wakes no watch.
type deafStore struct{ watchedStore }

func (c deafStore) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	if op.F == history.OpWatch && op.Since > 0 && c.now(op.Key).Next <= op.Since {
		time.Sleep(op.Wait)
	}
	return c.watchedStore.Do(ctx, op)
}

func TestWatchOnAStoreThatWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := watchedRun(t, func(c *Config) {
			for name, client := range c.Clients {
				c.Clients[name] = deafStore{client.(watchedStore)}
			}
		})
		require.Equal(t, checker.Invalid, r.Verdict, r.Summary)
		require.Contains(t, r.Summary, "after it was due")
	})
}

func TestWatchersGoOnFromWhatTheySaw(t *testing.T) {
	gen, err := NewWatch(Options{Keys: 2, Concurrency: 3, Timeout: time.Second})
	require.NoError(t, err)
	next := func() Op { // the next watch; there is one watcher
		for {
			if op := gen.Next(); op.F == history.OpWatch {
				require.GreaterOrEqual(t, op.Wait, shortestWait)
				require.LessOrEqual(t, op.Wait, time.Second/2, "half of the timeout is left")
				var asked history.WatchArgument
				require.NoError(t, json.Unmarshal(op.Argument, &asked))
				require.Equal(t, history.WatchArgument{Since: op.Since, WaitMS: op.Wait.Milliseconds()}, asked)
				return op
			}
		}
	}
	last := map[*watcher]uint64{}
	index, resumed, fresh, old := uint64(0), 0, 0, 0
	for i := range 2000 {
		op := next()
		w := op.Own.(*watcher)
		require.Equal(t, op.Key, w.key.name)
		for range 50 {
			require.NotEqual(t, history.OpWatch, gen.Next().F, "its watch is under way")
		}
		switch {
		case op.Since == 0:
			fresh++
		case op.Since == last[w]:
			resumed++
		default:
			require.Less(t, op.Since, last[w])
			old++
		}
		if i%3 == 0 {
			gen.Learn(op, Outcome{Type: history.Fail, Error: history.Timeout})
			continue
		}
		index++
		last[w] = index
		gen.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Next: index}})
	}
	require.Greater(t, resumed, 1500)
	require.Greater(t, fresh, 100)
	require.Greater(t, old, 30)
}

// A client whose index went back begins anew, as Consul asks of it.
func TestWatchersResetAnIndexThatWentBack(t *testing.T) {
	w := &watcher{}
	w.learn(20)
	w.learn(20)
	w.learn(21)
	require.Equal(t, []uint64{20, 20, 21}, w.seen)
	w.learn(19)
	require.Empty(t, w.seen)
}

func TestWatchedKeysDifferInHowOftenTheyChange(t *testing.T) {
	gen, err := NewWatch(Options{})
	require.NoError(t, err)
	changes := map[string]int{}
	for range 40000 {
		if op := gen.Next(); !op.F.Reads() {
			changes[op.Key]++
		}
	}
	require.Len(t, changes, defaultWatchedKeys)
	require.InDelta(t, 4, float64(changes["watched0"])/float64(changes["watched1"]), 0.5)
	require.Less(t, changes["watched4"], 300)
	require.Positive(t, changes["watched4"])
}

func TestWatchComparesWithWhatIsNewest(t *testing.T) {
	k := &watchedKey{}
	k.learn(nodes.Answer{Found: true, Index: 10}, "7")
	k.learn(nodes.Answer{Found: true, Index: 9}, "6")
	require.Equal(t, watchedKey{value: "7", index: 10, asOf: 10}, *k)
	k.learn(nodes.Answer{Next: 12}, "")
	require.Zero(t, k.index, "it was deleted")
	k.learn(nodes.Answer{Found: true, Index: 11}, "8")
	require.Zero(t, k.index)
	k.learn(nodes.Answer{Found: true, Index: 13, Next: 15}, "9")
	require.Equal(t, watchedKey{value: "9", index: 13, asOf: 15}, *k)
}

func TestWhatAWatchSawIsRecorded(t *testing.T) {
	for want, a := range map[string]nodes.Answer{
		`{"value":null,"next":9}`:                    {Next: 9},
		`{"value":7,"create":3,"modify":5,"next":9}`: {Found: true, Value: "7", Index: 5, Next: 9, Entry: history.Entry{CreateIndex: 3}},
	} {
		recorded, ok := recordWatch(a)
		require.True(t, ok)
		require.Equal(t, want, string(recorded))
	}
	_, ok := recordWatch(nodes.Answer{Found: true, Value: "x"})
	require.False(t, ok)
}

func TestWatchRefuses(t *testing.T) {
	for want, o := range map[string]Options{"-1 keys": {Keys: -1}, "a timeout of 300ms": {Timeout: 300 * time.Millisecond}} {
		_, err := NewWatch(o)
		require.ErrorContains(t, err, want)
	}
}

package workloads

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// treeClient adds listings and deletions to a fakeClient. halves makes a listing read its second half later.
type treeClient struct {
	*fakeClient
	halves bool
}

func (c treeClient) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, c, op)
}

func (c treeClient) Delete(ctx context.Context, key string) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) { return c.remove(func(k string) bool { return k == key }), nil })
}

func (c treeClient) DeleteTree(ctx context.Context, prefix string) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) {
		return c.remove(func(k string) bool { return strings.HasPrefix(k, prefix) }), nil
	})
}

func (c treeClient) DeleteCAS(ctx context.Context, key string, index uint64) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) {
		if was := c.get(key); was.Index != index {
			was.HasCurrent = true
			return was, nodes.Errorf(history.CASMismatch, "index is %d", was.Index)
		}
		return c.remove(func(k string) bool { return k == key }), nil
	})
}

func (c treeClient) List(ctx context.Context, prefix string, _ history.Mode) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) {
		list := c.list(prefix)
		if half := len(list.Entries) / 2; c.halves && half > 0 {
			time.Sleep(20 * time.Millisecond)
			later := c.list(prefix)
			from := list.Entries[half].Key
			later.Entries = append(list.Entries[:half:half], slices.DeleteFunc(later.Entries, func(e history.Entry) bool { return e.Key < from })...)
			return later, nil
		}
		return list, nil
	})
}

func (s *store) remove(which func(string) bool) nodes.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
	maps.DeleteFunc(s.items, func(k string, _ nodes.Answer) bool { return which(k) })
	return nodes.Answer{Index: s.index}
}

func (s *store) list(prefix string) nodes.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := nodes.Answer{Next: s.index}
	for _, k := range slices.Sorted(maps.Keys(s.items)) {
		if i := s.items[k]; strings.HasPrefix(k, prefix) {
			a.Found = true
			a.Entries = append(a.Entries, history.Entry{Key: k, Value: i.Value, ModifyIndex: i.Index})
		}
	}
	return a
}

// treeRun is what clients see of a store in trouble.
func treeRun(t *testing.T, halves bool) (checker.Result, []history.Operation) {
	b := newBench(t, func(c *Config) {
		var err error
		c.Generator, err = NewTree(Options{Seed: 7, OpsPerKey: 80})
		require.NoError(t, err)
	})
	for n, c := range b.clients {
		b.Clients[n] = treeClient{c, halves}
	}
	b.troubles(map[trouble]float64{refuse: 0.1, lose: 0.05, forget: 0.05, hang: 0.03})
	b.run(20 * time.Second)
	b.troubles(nil)
	require.NoError(t, b.Final(t.Context()))
	_, ops := b.finish()
	return Tree().Checkers[0].Check(context.Background(), &checker.Run{Settings: checker.Settings{Workload: "tree"}, Ops: ops}), ops
}

// Trees of a store that is linearizable are judged valid, whatever goes wrong on the way to it; those of one whose listings
// are no snapshots are not.
func TestTreeOnAStoreInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, ops := treeRun(t, false)
		require.Equal(t, checker.Valid, r.Verdict, r.Summary)
		good, refused := map[history.Op]int{}, map[history.Op]int{}
		keys := map[string]bool{}
		for _, op := range ops {
			keys[op.Key] = true
			if parts := strings.SplitN(op.Key, "/", 3); len(parts) == 3 && op.F == history.OpWrite {
				keys[parts[2]] = true
			}
			if op.Type == history.OK {
				good[op.F]++
			} else if op.Error == history.CASMismatch {
				refused[op.F]++
			}
		}
		for _, f := range Tree().Ops {
			require.Greater(t, good[f], 50, f)
		}
		require.NotZero(t, refused[history.OpCAS])
		require.NotZero(t, refused[history.OpDeleteCAS])
		for _, leaf := range leaves {
			require.True(t, keys[leaf], leaf)
		}
		require.True(t, keys["tree0/"], "groups are listed as a whole")
		require.True(t, keys["tree1/d0/"], "directories are replaced, and so are groups")
	})
	synctest.Test(t, func(t *testing.T) {
		r, _ := treeRun(t, true)
		require.Equal(t, checker.Invalid, r.Verdict)
		require.Contains(t, r.Summary, "fits no moment")
	})
}

func TestTreeRefuses(t *testing.T) {
	for want, o := range map[string]Options{"-1 directories": {Keys: -1}, "-1 operations a directory": {OpsPerKey: -1}, "more than all operations": {ReadShare: 2}} {
		_, err := NewTree(o)
		require.ErrorContains(t, err, want)
	}
}

// A condition is on what was told last, and on nothing after that was deleted.
func TestTreeComparesWithWhatWasToldLast(t *testing.T) {
	made, err := NewTree(Options{Keys: 1, ReadShare: -1, CASShare: 1})
	require.NoError(t, err)
	g := made.(*tree)
	d := g.active[0]
	key := d.name + "a"
	told := func(f history.Op, key string, a nodes.Answer, outcome history.Type) {
		g.Learn(Op{Op: nodes.Op{F: f, Key: key, Value: "own"}, Own: d}, Outcome{Type: outcome, Answer: a})
	}
	compares := func(index uint64) {
		t.Helper()
		op := g.conditional(d, key)
		require.Equal(t, index, op.Index)
		require.Equal(t, index != 0, strings.Contains(string(op.Argument), `"modify"`))
	}
	compares(0)
	told(history.OpWrite, key, nodes.Answer{Index: 5}, history.OK)
	compares(5)
	require.Equal(t, "own", d.keys[key].Value)
	told(history.OpWrite, key, nodes.Answer{}, history.Info)
	compares(5)
	told(history.OpRead, key, nodes.Answer{Found: true, Value: "v", Index: 7}, history.OK)
	compares(7)
	told(history.OpRead, key, nodes.Answer{}, history.OK)
	compares(0)
	told(history.OpCAS, key, nodes.Answer{HasCurrent: true, Found: true, Index: 9}, history.Fail)
	compares(9)
	told(history.OpDeleteTree, d.name, nodes.Answer{Index: 10}, history.OK)
	compares(0)
	told(history.OpList, d.name, nodes.Answer{Entries: []history.Entry{{Key: key, ModifyIndex: 11}, {Key: "tree9/d0/a", ModifyIndex: 12}}}, history.OK)
	compares(11)
	require.Len(t, d.keys, 1, "what is listed of other directories is theirs")
	told(history.OpDelete, key, nodes.Answer{}, history.OK)
	compares(0)
	told(history.OpWrite, key, nodes.Answer{}, history.OK)
	compares(0)
}

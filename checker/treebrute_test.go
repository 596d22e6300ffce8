package checker

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// treeModel is a store of keys, and how far its index is. It shares no code with the checker.
type treeModel struct {
	index uint64
	keys  map[string]history.Entry
}

func (m treeModel) at(index uint64) treeModel { return treeModel{index, maps.Clone(m.keys)} }

func (m treeModel) put(key, value string, index uint64) treeModel {
	m = m.at(index)
	e := history.Entry{Key: key, Value: value, CreateIndex: m.keys[key].CreateIndex, ModifyIndex: index}
	if e.CreateIndex == 0 {
		e.CreateIndex = index
	}
	m.keys[key] = e
	return m
}

func (m treeModel) remove(key string, prefix bool, index uint64) treeModel {
	m = m.at(index)
	maps.DeleteFunc(m.keys, func(k string, _ history.Entry) bool { return k == key || prefix && strings.HasPrefix(k, key) })
	return m
}

func (m treeModel) list(key string, prefix bool) []history.Entry {
	var all []history.Entry
	for _, k := range slices.Sorted(maps.Keys(m.keys)) {
		if k == key || prefix && strings.HasPrefix(k, key) {
			all = append(all, m.keys[k])
		}
	}
	return all
}

// bruteOp is an operation of a tiny history, with its argument and result taken apart.
type bruteOp struct {
	history.Operation
	value    string
	compared uint64
	entries  []history.Entry
	next     uint64
	stale    bool
}

// bruteTree decides by trying every order, every index that nobody told, and every subset of what may not have happened.
type bruteTree struct {
	etcd bool // a deletion of nothing has no index of its own, and a condition does not hold of what is absent
	all  []bruteOp
}

func (b bruteTree) valid() bool { return b.try(b.all, treeModel{keys: map[string]history.Entry{}}) }

func (b bruteTree) try(left []bruteOp, m treeModel) bool {
	if len(left) == 0 {
		return true
	}
	first := int64(history.Pending)
	for _, op := range left {
		first = min(first, op.Return)
	}
	for i, op := range left {
		if op.stale && slices.ContainsFunc(left, func(o bruteOp) bool { return o.stale && o.Node == op.Node && o.Return < op.Invoke }) {
			continue
		}
		if !op.stale && op.Invoke > first {
			continue
		}
		rest := slices.Delete(slices.Clone(left), i, i+1)
		for _, next := range b.apply(op, m) {
			if b.try(rest, next) {
				return true
			}
		}
	}
	return false
}

// apply gives the stores that an operation can lead to.
func (b bruteTree) apply(op bruteOp, m treeModel) (to []treeModel) {
	is := m.keys[op.Key].ModifyIndex
	matches := op.compared == is
	switch {
	case op.F == history.OpRead, op.F == history.OpList, op.Error == history.CASMismatch && len(op.Current) > 0:
		list := m.list(op.Key, op.F == history.OpList)
		same := slices.EqualFunc(list, op.entries, func(a, e history.Entry) bool {
			return a.Value == e.Value && a.ModifyIndex == e.ModifyIndex && (e.CreateIndex == 0 || a.CreateIndex == e.CreateIndex)
		})
		if !same || op.Type == history.Fail && matches {
			return nil
		}
		return []treeModel{m.at(max(m.index, op.next))}
	case op.Error == history.CASMismatch:
		if matches {
			return nil
		}
		return []treeModel{m}
	case op.Type == history.Fail:
		return []treeModel{m}
	case op.Type == history.Info:
		to = append(to, m)
	}
	change := func(index uint64) treeModel {
		switch op.F {
		case history.OpWrite, history.OpCAS:
			return m.put(op.Key, op.value, index)
		}
		return m.remove(op.Key, op.F == history.OpDeleteTree, index)
	}
	holds := map[history.Op]bool{history.OpCAS: matches, history.OpDeleteCAS: matches && is != 0 || !b.etcd && is == 0}
	if condition, has := holds[op.F]; has && !condition {
		return to
	}
	nothing := op.F != history.OpWrite && op.F != history.OpCAS && len(m.list(op.Key, op.F == history.OpDeleteTree)) == 0
	if b.etcd && nothing {
		if op.Type == history.Info {
			return to
		}
		if op.ModifyIndex == 0 || op.ModifyIndex >= m.index {
			to = append(to, m.at(max(m.index, op.ModifyIndex)))
		}
		return to
	}
	for _, index := range b.indexes(op, m.index) {
		to = append(to, change(index))
	}
	return to
}

// indexes are those that a change can have after one: its own, or any that somebody saw, or just the next.
func (b bruteTree) indexes(op bruteOp, after uint64) []uint64 {
	some := []uint64{op.ModifyIndex}
	if op.ModifyIndex == 0 {
		some = []uint64{after + 1}
		for _, o := range b.all {
			for _, e := range o.entries {
				if e.Key == op.Key {
					some = append(some, e.ModifyIndex, e.CreateIndex)
				}
			}
		}
	}
	slices.Sort(some)
	return slices.DeleteFunc(slices.Compact(some), func(index uint64) bool { return index <= after })
}

// drawTree plays clients on a store, and then, most of the time, lies about what one of them saw.
func drawTree(seed uint64, n int) bruteTree {
	r := rand.New(rand.NewPCG(seed, 7))
	b := bruteTree{etcd: r.IntN(2) == 0}
	told := b.etcd || r.IntN(2) == 0
	names := []string{"a", "ab", "ac"}[:2+r.IntN(2)]
	models := []treeModel{{index: 1, keys: map[string]history.Entry{}}}
	copies := map[string]int{} // how far servers are
	width := 1 + r.IntN(6)
	known := map[string]uint64{}
	for i := range n {
		op := bruteOp{Operation: history.Operation{ID: int64(i), Process: history.Process(i), Type: history.OK, Mode: history.ModeDefault,
			Node: []string{"s1", "s2"}[r.IntN(2)], Key: names[r.IntN(len(names))]}}
		at := int64(3*i) + 20
		op.Invoke, op.Return = at-int64(r.IntN(width)), at+int64(r.IntN(width))
		m := models[len(models)-1]
		index := m.index + 1 + uint64(r.IntN(2))
		lost := r.IntN(5) == 0
		happens := !lost || r.IntN(2) == 0
		changed := m
		op.F = []history.Op{history.OpWrite, history.OpWrite, history.OpCAS, history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree,
			history.OpRead, history.OpList, history.OpList}[r.IntN(9)]
		switch op.F {
		case history.OpRead, history.OpList:
			lost = false
			if op.F == history.OpList {
				op.Key = []string{"a", "a", "ab", ""}[r.IntN(4)]
			}
			if r.IntN(4) == 0 {
				op.stale, op.Mode = true, history.ModeStale
				copies[op.Node] += r.IntN(len(models) - copies[op.Node])
				m = models[copies[op.Node]]
			}
			op.entries = m.list(op.Key, op.F == history.OpList)
			if op.F == history.OpList {
				op.next = m.index
			}
			for _, e := range op.entries {
				known[e.Key] = e.ModifyIndex
			}
		case history.OpWrite, history.OpCAS:
			if op.value = string(rune('A' + i)); r.IntN(6) == 0 {
				op.value = ""
			}
			changed = m.put(op.Key, op.value, index)
		case history.OpDelete, history.OpDeleteCAS:
			changed = m.remove(op.Key, false, index)
		case history.OpDeleteTree:
			op.Key = []string{"a", "a", "ab", ""}[r.IntN(4)]
			changed = m.remove(op.Key, true, index)
		}
		if op.F == history.OpCAS || op.F == history.OpDeleteCAS {
			op.compared = known[op.Key]
			if op.F == history.OpDeleteCAS && op.compared == 0 {
				op.compared = 1
			}
			is := m.keys[op.Key]
			if op.compared != is.ModifyIndex && (op.F == history.OpCAS || is.ModifyIndex != 0 || b.etcd) {
				happens = false
				if !lost {
					op.Type, op.Error = history.Fail, history.CASMismatch
					if told {
						op.Current = []byte("null")
						op.entries = m.list(op.Key, false)
					}
				}
			}
		}
		if b.etcd && changed.index != m.index && len(changed.keys) == len(m.keys) && op.value == "" && op.F != history.OpWrite && op.F != history.OpCAS {
			changed, index = m, m.index // nothing was there
		}
		if lost {
			op.Type, op.Return = history.Info, history.Pending
		}
		if happens && !op.F.Reads() {
			models = append(models, changed)
			if !lost && told {
				op.ModifyIndex = index
				known[op.Key] = changed.keys[op.Key].ModifyIndex
			}
		}
		b.all = append(b.all, op)
	}
	for range r.IntN(5) {
		b.lie(r, models)
	}
	return b
}

// lie changes what one operation says, to what another might have.
func (b *bruteTree) lie(r *rand.Rand, models []treeModel) {
	op := &b.all[r.IntN(len(b.all))]
	switch draw := r.IntN(4); {
	case draw == 0 && op.Return != history.Pending:
		op.Invoke += int64(r.IntN(12))
		op.Return = op.Invoke + int64(r.IntN(5))
	case draw == 1 && op.ModifyIndex > 0:
		op.ModifyIndex += uint64(r.IntN(3)) - min(1, op.ModifyIndex-1)
	case draw == 2 && len(op.entries) > 0:
		op.entries = slices.Delete(slices.Clone(op.entries), 0, 1)
	case op.F.Reads() || len(op.Current) > 0:
		m := models[r.IntN(len(models))]
		op.entries = m.list(op.Key, op.F == history.OpList)
		if half := models[r.IntN(len(models))]; draw == 3 && len(op.entries) > 1 {
			op.entries = slices.Concat(op.entries[:1], slices.DeleteFunc(half.list(op.Key, true), func(e history.Entry) bool { return e.Key <= op.entries[0].Key }))
		}
		if op.F == history.OpList {
			op.next = m.index
			for _, e := range op.entries {
				op.next = max(op.next, e.ModifyIndex)
			}
		}
	}
}

// run is the history as a harness writes it.
func (b bruteTree) run() *Run {
	run := &Run{Settings: Settings{Workload: "tree"}}
	for _, op := range b.all {
		entry := json.RawMessage("null")
		if len(op.entries) > 0 {
			e := op.entries[0]
			e.Key = ""
			entry = encode(e)
		}
		var was *history.Entry
		if op.compared > 0 {
			was = &history.Entry{ModifyIndex: op.compared}
		}
		switch op.F {
		case history.OpRead:
			op.Output = entry
		case history.OpList:
			op.Output = encode(history.Listing{Entries: op.entries, Next: op.next})
		case history.OpWrite:
			op.Input = encode(op.value)
		case history.OpCAS:
			op.Input = encode([]any{was, op.value})
		case history.OpDeleteCAS:
			op.Input = encode(was)
		}
		if len(op.Current) > 0 {
			op.Current = entry
		}
		run.Ops = append(run.Ops, op.Operation)
	}
	slices.SortStableFunc(run.Ops, func(a, b history.Operation) int { return int(a.Invoke - b.Invoke) })
	return run
}

var missedTree func(uint64, bruteTree)

// A history that some store can have given is never called invalid, and most of the others are.
func TestTreesAreJudgedAsBruteForceDoes(t *testing.T) {
	seeds := seedsOf(t, 12_000, 1200)
	good, bad, caught := uint64(0), uint64(0), uint64(0)
	for seed := range seeds {
		b := drawTree(seed, 4+int(seed%5))
		want := b.valid()
		r := checkTree(context.Background(), b.run())
		if want {
			good++
			require.NotEqual(t, Invalid, r.Verdict, "seed %d: %s\n%s", seed, r.Summary, encode(b.run().Ops))
			continue
		}
		bad++
		if r.Verdict != Invalid && missedTree != nil {
			missedTree(seed, b)
		}
		if r.Verdict == Invalid {
			caught++
		}
	}
	t.Logf("%d possible, %d impossible, of which %d were found", good, bad, caught)
	require.Greater(t, good, seeds/4)
	require.Greater(t, bad, seeds/8)
	require.Greater(t, caught, bad*9/10)
}

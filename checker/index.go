package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"faultline/workloads/history"
)

// indexAnswer is an answer with a key's modify index, and the value that it stood for.
type indexAnswer struct {
	op    *history.Operation
	index uint64
	value string // JSON
}

// checkIndex judges the modify indexes that clients compare by. Consul documents that they
// grow with every change of a key (blocking queries and check-and-set stand on it), and a
// compare-and-set by an index that is used again overwrites what it never saw. It costs
// n log n and needs no search:
//
//	write 1 -> index 90                         fine so far
//	                      read 1 at index 3     invalid: a later answer with a lower index
//	                      read 2 at index 90    invalid: another value under the same index
//
// A deletion has an index too, of the key that it leaves absent, or of all keys that begin with a prefix: who makes such a key again
// gets a higher one. Only one that found nothing may have the index of an earlier change (etcd's revision).
//
// Stale reads promise nothing and are left out, as are answers without an index: of a real Consul, those
// to writes and deletions.
func checkIndex(_ context.Context, run *Run) Result {
	byKey := map[string][]indexAnswer{}
	var keys []string
	var trees []indexAnswer
	answers := 0
	strange := foreignWrites(run)
	for i := range run.Ops {
		if strange[run.Ops[i].Key] != "" {
			continue
		}
		t, ok, err := indexAnswerOf(&run.Ops[i])
		if err != nil {
			return Result{Verdict: Unknown, Summary: err.Error()}
		}
		if !ok {
			continue
		}
		answers++
		if t.op.F == history.OpDeleteTree {
			trees = append(trees, t)
			continue
		}
		if byKey[t.op.Key] == nil {
			keys = append(keys, t.op.Key)
		}
		byKey[t.op.Key] = append(byKey[t.op.Key], t)
	}
	deleteTrees(byKey, trees)
	var reasons []string
	for _, key := range keys {
		reasons = append(reasons, indexReused(key, byKey[key])...)
		reasons = append(reasons, indexDecreased(key, byKey[key])...)
	}
	r := Result{Verdict: Valid, Summary: fmt.Sprintf("%d answers carried the indexes of %d keys, which only grew", answers, len(keys)),
		Metrics: []Metric{{Name: "answers with an index", Value: float64(answers)}, {Name: "keys", Value: float64(len(keys))}}}
	if answers == 0 {
		r.Summary = "no answer carried an index"
	}
	var closed []string
	for _, key := range slices.Sorted(maps.Keys(strange)) {
		closed = append(closed, fmt.Sprintf("key %s: %s", key, strange[key]))
	}
	switch {
	case len(reasons) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, reasons[0], capped(append(reasons, closed...))
	case len(closed) > 0:
		r.Verdict, r.Summary, r.Reasons = Unknown, closed[0], capped(closed)
	}
	return r
}

// deleteTrees adds the deletions of all keys with a prefix to those keys.
func deleteTrees(byKey map[string][]indexAnswer, trees []indexAnswer) {
	if len(trees) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(byKey))
	for _, t := range trees {
		from, _ := slices.BinarySearch(names, t.op.Key)
		for ; from < len(names) && strings.HasPrefix(names[from], t.op.Key); from++ {
			byKey[names[from]] = append(byKey[names[from]], t)
		}
	}
}

// plainValue is the value alone of what is recorded as an entry, and all else as it is.
func plainValue(recorded json.RawMessage) string {
	if len(recorded) == 0 || recorded[0] != '{' {
		return string(recorded)
	}
	var e struct{ Value json.RawMessage }
	if err := json.Unmarshal(recorded, &e); err != nil || len(e.Value) == 0 {
		return string(recorded)
	}
	return string(e.Value)
}

// indexAnswerOf returns the index in an operation's answer, if it has one.
func indexAnswerOf(op *history.Operation) (t indexAnswer, ok bool, err error) {
	t = indexAnswer{op: op, index: op.ModifyIndex}
	var value json.RawMessage
	switch {
	case op.ModifyIndex == 0 || op.Return == history.Pending:
		return t, false, nil
	case op.F == history.OpRead && op.Type == history.OK && op.Mode != "stale":
		value = op.Output
	case op.F == history.OpWrite && op.Type == history.OK:
		value = op.Input
	case op.F == history.OpCAS && op.Type == history.OK:
		var pair [2]json.RawMessage
		if err := json.Unmarshal(op.Input, &pair); err != nil || len(pair[1]) == 0 {
			return t, false, fmt.Errorf("operation %d: %s is not the [old,new] of a cas", op.ID, excerpt(op.Input))
		}
		value = pair[1]
	case (op.F == history.OpDelete || op.F == history.OpDeleteCAS || op.F == history.OpDeleteTree) && op.Type == history.OK:
		value = history.Null
	case (op.F == history.OpCAS || op.F == history.OpDeleteCAS) && op.Type == history.Fail && len(op.Current) > 0:
		value = op.Current
	default:
		return t, false, nil
	}
	t.value = plainValue(value)
	return t, true, nil
}

func indexReused(key string, answers []indexAnswer) (reasons []string) {
	first := map[uint64]indexAnswer{}
	for _, a := range answers {
		b, seen := first[a.index]
		if !seen {
			first[a.index] = a
			continue
		}
		if a.value != b.value {
			reasons = append(reasons, fmt.Sprintf("%s: index %d stands for %s in the answer of %s at %s, and for %s in the answer of %s at %s",
				key, a.index, b.value, b.op.Node, clock(b.op.Return), a.value, a.op.Node, clock(a.op.Return)))
		}
	}
	return reasons
}

// indexDecreased compares every answer with the highest index that was answered before its request.
func indexDecreased(key string, answers []indexAnswer) (reasons []string) {
	asked, answered := slices.Clone(answers), slices.Clone(answers)
	slices.SortFunc(asked, func(a, b indexAnswer) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	slices.SortFunc(answered, func(a, b indexAnswer) int { return cmp.Compare(a.op.Return, b.op.Return) })
	highest := indexAnswer{op: &history.Operation{Return: math.MinInt64}}
	for _, a := range asked {
		for len(answered) > 0 && answered[0].op.Return < a.op.Invoke {
			if answered[0].index > highest.index {
				highest = answered[0]
			}
			answered = answered[1:]
		}
		if a.index < highest.index {
			reasons = append(reasons, fmt.Sprintf("%s: by %s its index was %d (a %s of %s at %s), and a %s of %s that was asked for at %s returned %d (%s)",
				key, clock(highest.op.Return), highest.index, highest.op.F, highest.value, highest.op.Node,
				a.op.F, a.op.Node, clock(a.op.Invoke), a.index, a.value))
		}
	}
	return reasons
}

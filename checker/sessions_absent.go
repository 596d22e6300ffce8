package checker

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"faultline/workloads/history"
)

// writes are the acquires and releases of a lock that may have taken effect, by invoke.
type writes struct {
	all    []lockOp
	latest []int64 // return of any up to here, of those that were answered
}

func writesOf(k *lockKey) writes {
	w := writes{all: slices.Concat(k.acquires, k.renders)}
	slices.SortFunc(w.all, func(a, b lockOp) int { return cmp.Compare(a.Invoke, b.Invoke) })
	latest := int64(-1)
	for _, op := range w.all {
		if op.Return != history.Pending {
			latest = max(latest, op.Return)
		}
		w.latest = append(w.latest, latest)
	}
	return w
}

// during reports whether one of those that were answered can have taken effect between two times.
func (w writes) during(from, to int64, is func(lockOp) bool) bool {
	i := sort.Search(len(w.all), func(i int) bool { return w.all[i].Invoke > to })
	for i--; i >= 0 && w.latest[i] >= from; i-- {
		if op := w.all[i]; op.Return >= from && is(op) {
			return true
		}
	}
	return false
}

// judgeAbsent judges reads that found no key: a key that was there before is deleted by nothing but
// the end of a session that deletes its keys and holds it then. They have no index, so only versions
// that were answered before such a read was asked for are before it.
func judgeAbsent(k *lockKey) (why string, ops []*history.Operation) {
	u, w := unplacedOf(k), writesOf(k)
	answered := versionsOf(k)
	slices.SortStableFunc(answered, func(a, b version) int { return cmp.Compare(a.op.Return, b.op.Return) })
	highest := slices.Clone(answered) // of those so far the one with the highest index
	for i := 1; i < len(highest); i++ {
		if highest[i-1].index > highest[i].index {
			highest[i] = highest[i-1]
		}
	}
	for _, l := range k.looks {
		if l.entry != nil {
			continue
		}
		i := sort.Search(len(answered), func(i int) bool { return answered[i].op.Return >= l.Invoke })
		if i == 0 {
			continue
		}
		was, t := &highest[i-1], l.Return
		h := was.holder
		lost := u.canLose(h, t) || w.during(l.Invoke, t, func(op lockOp) bool { return op.by == h && op.F == history.OpRelease })
		deleted := h != nil && h.deletes && h.endsFrom() <= t || u.deleted <= t ||
			w.during(l.Invoke, t, func(op lockOp) bool { return op.by.deletes && op.F == history.OpAcquire && op.by.endsFrom() <= t })
		switch {
		case !lost:
			return fmt.Sprintf("a read at %s found no key, and %s held it at index %d and can neither have ended nor released it", clock(t), named(h), was.index),
				[]*history.Operation{was.op, l.Operation}
		case !deleted:
			return fmt.Sprintf("a read at %s found no key, and at index %d it was there; no session that deletes its keys can have held it and ended", clock(t), was.index),
				[]*history.Operation{was.op, l.Operation}
		}
	}
	return "", nil
}

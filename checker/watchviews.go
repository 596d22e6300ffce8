package checker

import (
	"cmp"
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// contradiction returns why no key can have been seen as this one was, and the operations that show it.
// It costs n log n.
func (k *watchedKey) contradiction() (why string, ops []*history.Operation) {
	values := map[uint64]watchView{}
	for _, v := range k.views {
		if why, ops := k.strange(v); why != "" {
			return why, ops
		}
		if other, seen := values[v.modify]; v.present && v.modify > 0 && seen && other.value != v.value {
			return fmt.Sprintf("index %d stands for %d in %s, and for %d in %s", v.modify, other.value, describeView(other), v.value, describeView(v)),
				[]*history.Operation{other.op, v.op}
		}
		values[v.modify] = v
		if why, ops := k.skipped(v); why != "" {
			return why, ops
		}
	}
	if k.stale {
		return "", nil
	}
	return k.older()
}

func describeView(v watchView) string {
	return fmt.Sprintf("the answer of %s to a %s at %s", v.op.Node, v.op.F, clock(v.op.Return))
}

func describeShown(v watchView) string {
	if !v.present {
		return "that the key is absent"
	}
	return fmt.Sprintf("%d of index %d", v.value, v.modify)
}

// strange returns what is wrong with one answer by itself.
func (k *watchedKey) strange(v watchView) (why string, ops []*history.Operation) {
	if v.op.F == history.OpWatch && !k.stale && v.next < v.since {
		return fmt.Sprintf("%s is of index %d, and it was asked for what came after %d: the index went back", describeView(v), v.next, v.since), []*history.Operation{v.op}
	}
	if !v.present {
		return "", nil
	}
	by := k.writers[v.value]
	both := []*history.Operation{by, v.op}
	switch {
	case by.Key != v.op.Key:
		return fmt.Sprintf("%s shows %d, which was written to %s", describeView(v), v.value, by.Key), both
	case by.Type == history.Fail:
		return fmt.Sprintf("%s shows %d, whose %s had certainly failed (%s)", describeView(v), v.value, by.F, by.Error), both
	case by.Invoke > v.op.Return:
		return fmt.Sprintf("%s shows %d, which was only asked for at %s", describeView(v), v.value, clock(by.Invoke)), both
	}
	return "", nil
}

// skipped finds a change between the one that an answer shows and the index of the answer.
func (k *watchedKey) skipped(v watchView) (why string, ops []*history.Operation) {
	if v.next == 0 || v.present && v.modify == 0 {
		return "", nil
	}
	after := k.changesUpTo(v.next)
	if after == 0 {
		return "", nil
	}
	last := k.changes[after-1]
	switch {
	case v.present && last.index <= v.modify:
		return "", nil
	case !v.present && (last.deletes || k.deletion < v.op.Return):
		return "", nil
	}
	return fmt.Sprintf("%s shows %s, and is of index %d: whoever goes on from there never learns of the change of index %d, which the answer to a %s at %s tells of",
		describeView(v), describeShown(v), v.next, last.index, last.op.F, clock(last.op.Return)), []*history.Operation{last.op, v.op}
}

// changesUpTo counts the changes whose index is not above index.
func (k *watchedKey) changesUpTo(index uint64) int {
	n, _ := slices.BinarySearchFunc(k.changes, index, func(c keyChange, index uint64) int {
		if c.index <= index {
			return -1
		}
		return 1
	})
	return n
}

// answered is what had been answered by some time: the change and the deletion of the highest index, and the answer to a
// watch with the highest.
type answered struct {
	change, deletion keyChange
	view             watchView
}

// older finds an answer that is older than what was answered before it was asked for.
func (k *watchedKey) older() (why string, ops []*history.Operation) {
	asked := slices.Clone(k.views)
	slices.SortStableFunc(asked, func(a, b watchView) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	views := slices.Clone(k.views)
	slices.SortStableFunc(views, func(a, b watchView) int { return cmp.Compare(a.op.Return, b.op.Return) })
	changes := slices.Clone(k.changes)
	slices.SortStableFunc(changes, func(a, b keyChange) int { return cmp.Compare(a.op.Return, b.op.Return) })
	var by answered
	for _, v := range asked {
		for ; len(changes) > 0 && changes[0].op.Return < v.op.Invoke; changes = changes[1:] {
			if c := changes[0]; c.deletes && c.index > by.deletion.index {
				by.deletion = c
			} else if !c.deletes && c.index > by.change.index {
				by.change = c
			}
		}
		for ; len(views) > 0 && views[0].op.Return < v.op.Invoke; views = views[1:] {
			if views[0].next > by.view.next {
				by.view = views[0]
			}
		}
		if why, ops := k.olderThan(v, by); why != "" {
			return why, ops
		}
	}
	return "", nil
}

func (k *watchedKey) olderThan(v watchView, by answered) (why string, ops []*history.Operation) {
	than := by.change
	switch {
	case v.present && v.modify > 0 && v.modify < by.change.index:
	case v.present && v.modify > 0 && v.modify < by.deletion.index:
		than = by.deletion
	case !v.present && by.change.op != nil && !k.deletable(by.change.index, v.op.Return):
	case v.op.F == history.OpWatch && v.next < max(by.change.index, by.view.next):
		if than.index < by.view.next {
			return fmt.Sprintf("%s is of index %d, and before it was asked for %s was of index %d: the index went back",
				describeView(v), v.next, describeView(by.view), by.view.next), []*history.Operation{by.view.op, v.op}
		}
	default:
		return "", nil
	}
	return fmt.Sprintf("%s, which was asked for at %s, shows %s, and the answer to a %s at %s told of a change of index %d: what it shows is old, or that is lost",
		describeView(v), clock(v.op.Invoke), describeShown(v), than.op.F, clock(than.op.Return), than.index), []*history.Operation{than.op, v.op}
}

// deletable reports whether the key may have been deleted after the change of an index, by some time.
func (k *watchedKey) deletable(index uint64, by int64) bool {
	after := k.changesUpTo(index)
	return k.deletion < by || slices.ContainsFunc(k.changes[after:], func(c keyChange) bool {
		return c.deletes && c.op.Invoke < by
	})
}

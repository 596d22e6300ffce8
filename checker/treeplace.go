package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"faultline/workloads/history"
)

// treeBound is an index that an answer must not be below, or must be below, and why.
type treeBound struct {
	at  uint64
	why string
	op  *history.Operation
}

// placeAll finds the smallest index of every answer that fits all that was answered before it was asked for.
func (h *treeHistory) placeAll() {
	var fresh []*treeItem
	of := map[string][]*treeItem{}
	for _, c := range h.changes {
		fresh = append(fresh, &treeItem{op: c.op, change: c})
	}
	for _, s := range h.sights {
		item := &treeItem{op: s.op, sight: s}
		if s.fresh {
			fresh = append(fresh, item)
		} else {
			of[s.server] = append(of[s.server], item)
		}
	}
	h.place(fresh, true)
	for _, server := range slices.Sorted(maps.Keys(of)) {
		h.place(of[server], server != "")
	}
}

// treeItem is an operation, and the smallest index at which it can have taken effect.
type treeItem struct {
	op     *history.Operation
	change *treeChange
	sight  *treeSight
	at     uint64
}

// place finds the place of each operation, of which none may be below one that was answered before it, if they are ordered.
func (h *treeHistory) place(items []*treeItem, ordered bool) {
	answered := slices.Clone(items)
	slices.SortStableFunc(items, func(a, b *treeItem) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	slices.SortStableFunc(answered, func(a, b *treeItem) int { return cmp.Compare(a.op.Return, b.op.Return) })
	var highest treeBound
	for _, item := range items {
		for ordered && len(answered) > 0 && answered[0].op.Return < item.op.Invoke {
			if before := answered[0]; before.at > highest.at {
				highest = treeBound{before.at, "by the answer of " + before.op.Node + " to a " + string(before.op.F) + " at " + clock(before.op.Return), before.op}
			}
			answered = answered[1:]
		}
		if item.sight != nil {
			item.at = h.placeSight(item.sight, highest)
			continue
		}
		item.at = h.placeChange(item.change, highest)
	}
}

// placeChange is the index of a change, or the lowest that it can have.
func (h *treeHistory) placeChange(c *treeChange, low treeBound) uint64 {
	switch {
	case c.at != 0 && (c.at < low.at || c.at == low.at && !c.deletes):
		h.problem(c.op.Key, fmt.Sprintf("the %s that %s was asked for at %s took effect at index %d, though the store was at %d before, %s", c.op.F, c.op.Node, clock(c.op.Invoke), c.at, low.at, low.why), low.op, c.op)
		return c.at
	case c.at != 0:
		return c.at
	case c.deletes:
		return low.at
	}
	return low.at + 1
}

// placeSight finds the smallest index that fits an answer, or says why there is none. Then nothing follows from it.
func (h *treeHistory) placeSight(s *treeSight, low treeBound) uint64 {
	high := treeBound{at: noIndex}
	if below, by := h.told.after(s.op.Return); by != nil {
		high = treeBound{below, fmt.Sprintf("a %s that was asked for at %s has index %d", by.op.F, clock(by.op.Invoke), by.at), by.op}
	}
	if s.next > low.at {
		low = treeBound{s.next, "which is the answer's own index", nil}
	}
	for _, e := range s.entries {
		k := h.keys[e.Key]
		if e.ModifyIndex > low.at {
			low = treeBound{e.ModifyIndex, fmt.Sprintf("at which %q changed to what it shows", e.Key), k.byIndex[e.ModifyIndex].op}
		}
		i := k.last(e.ModifyIndex)
		if end, by := k.until(i); end < high.at {
			high = treeBound{end, fmt.Sprintf("its version %d of %q was gone by then", e.ModifyIndex, e.Key), by}
		}
		if c := h.replaced(k, e.ModifyIndex, s); c != nil {
			h.problem(e.Key, fmt.Sprintf("%s shows version %d, though a %s was asked for after that and answered at %s, before this was asked for", describeSight(s), e.ModifyIndex, c.op.F, clock(c.op.Return)), c.op, s.op)
			return 0
		}
	}
	for at := low.at; ; {
		if at >= high.at {
			h.problem(s.op.Key, fmt.Sprintf("%s fits no moment: it must be of index %d or later, %s, and before index %d, for %s", describeSight(s), at, low.why, high.at, high.why), low.op, high.op, s.op)
			return 0
		}
		moved, absent := h.absentFrom(s, at)
		if absent.at == noIndex {
			h.problem(s.op.Key, fmt.Sprintf("%s does not have %s, which %s; from index %d on, %s, nobody can have deleted it by then", describeSight(s), absent.key, absent.why, at, low.why), absent.op, low.op, s.op)
			return 0
		}
		if !moved {
			return at
		}
		at, low = absent.at, treeBound{absent.at, fmt.Sprintf("since it does not have %s", absent.key), absent.op}
	}
}

// absence is the lowest index at which a key that an answer does not have can have been gone; noIndex if there is none.
type absence struct {
	key string
	at  uint64
	why string
	op  *history.Operation
}

// absentFrom finds a key that an answer does not have and that was there at an index, and from where on it was not; moved
// is false if there is no such key.
func (h *treeHistory) absentFrom(s *treeSight, at uint64) (moved bool, found absence) {
	names := []string{s.op.Key}
	if s.lists() {
		names = h.under(s.op.Key)
	}
	entries := s.entries
	for _, name := range names {
		for len(entries) > 0 && entries[0].Key < name {
			entries = entries[1:]
		}
		if len(entries) > 0 && entries[0].Key == name {
			continue
		}
		k := h.keys[name]
		if w := h.lost(k, s); w != nil {
			return true, absence{name, noIndex, fmt.Sprintf("a %s answered at %s had made", w.op.F, clock(w.op.Return)), w.op}
		}
		if a := h.absent(k, s, at); a.at > max(at, found.at) {
			moved, found = true, a
		}
	}
	return moved, found
}

// absent is the lowest index, from one on, at which a key that an answer does not have can have been gone.
func (h *treeHistory) absent(k *treeKey, s *treeSight, at uint64) absence {
	i := k.last(at)
	if next := i + 1; next < len(k.versions) && k.versions[next].since <= at {
		i, at = next, k.versions[next].index
	}
	for ; i >= 0; i++ {
		v, limit := k.versions[i], uint64(noIndex)
		if i+1 < len(k.versions) {
			limit = k.versions[i+1].since
		}
		why := fmt.Sprintf("was there from index %d to %d (%s)", v.since, v.index, describeVersion(v))
		if from, ok := h.deletion(k, v.index, limit, s.op.Return, s); ok && max(at, from) < limit {
			return absence{k.name, max(at, from), why, v.op}
		}
		if i+1 == len(k.versions) {
			return absence{k.name, noIndex, why, v.op}
		}
		at = max(at, k.versions[i+1].index)
	}
	return absence{key: k.name, at: at}
}

// replaced is a change of unknown index that was asked for after a version was there, and answered before a fresh answer
// was asked for: what shows the version then is old.
func (h *treeHistory) replaced(k *treeKey, index uint64, s *treeSight) *treeChange {
	for _, c := range k.unseen {
		if s.fresh && c.op.Return < s.op.Invoke && h.told.before(c.op.Invoke) >= index {
			return c
		}
	}
	return nil
}

// lost is a write of unknown index that was answered before a fresh answer was asked for, and after which nobody can have
// deleted the key by then.
func (h *treeHistory) lost(k *treeKey, s *treeSight) *treeChange {
	for _, w := range k.unseen {
		if !s.fresh || w.deletes || w.op.Return >= s.op.Invoke {
			continue
		}
		mayUndo := func(d *treeChange) bool { return d.op.Invoke <= s.op.Return && d.op.Return >= w.op.Invoke }
		if !slices.ContainsFunc(k.gone, mayUndo) && !slices.ContainsFunc(k.floating, mayUndo) {
			return w
		}
	}
	return nil
}

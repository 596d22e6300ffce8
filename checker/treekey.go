package checker

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"faultline/workloads/history"
)

// noIndex is above every index.
const noIndex = math.MaxUint64

// treeKey is all that is known of one key.
type treeKey struct {
	name     string
	byIndex  map[uint64]*treeVersion
	versions []*treeVersion // by index
	gone     []*treeChange  // deletions of known index, by it
	floating []*treeChange  // deletions that may have happened at any index, by their invoke
	unseen   []*treeChange  // writes and deletions that did happen, at an index that nobody told
	blanks   []*treeChange  // writes of nothing
}

// treeVersion is a state of a key, from its index on.
type treeVersion struct {
	index   uint64
	created uint64 // 0: not known
	since   uint64 // the key was there without a break from here to index
	value   string
	by      *treeChange        // who wrote it; nil: not known
	op      *history.Operation // whose answer, the first one, showed it
}

// collect puts together what all answers say of each key.
func (h *treeHistory) collect() {
	h.names = slices.Sorted(maps.Keys(h.keys))
	for _, s := range h.sights {
		h.sightsAt[s.op.Key] = append(h.sightsAt[s.op.Key], s)
	}
	h.asked = slices.Sorted(maps.Keys(h.sightsAt))
	for _, c := range h.changes {
		if !c.deletes && c.at != 0 {
			h.show(history.Entry{Key: c.op.Key, Value: c.value, ModifyIndex: c.at}, c.op)
		}
		if !c.deletes && c.value == "" {
			k := h.keys[c.op.Key]
			k.blanks = append(k.blanks, c)
		}
	}
	for _, s := range h.sights {
		for _, e := range s.entries {
			h.show(e, s.op)
		}
	}
	of := map[uint64]*treeVersion{}
	for _, name := range h.names {
		k := h.keys[name]
		slices.SortFunc(k.versions, func(a, b *treeVersion) int { return cmp.Compare(a.index, b.index) })
		for _, v := range k.versions {
			h.versions++
			if other := of[v.index]; other != nil {
				h.problem(name, fmt.Sprintf("index %d is that of a change of this key, %s, and of another key, %s", v.index, describeVersion(v), describeVersion(other)), other.op, v.op)
			}
			of[v.index] = v
			h.attribute(k, v)
		}
	}
	h.told = toldOf(h.changes)
	for _, c := range h.changes {
		h.file(c)
	}
}

// show adds a version that an answer shows, or is content that it is known and the same.
func (h *treeHistory) show(e history.Entry, op *history.Operation) {
	if e.ModifyIndex == 0 {
		return
	}
	k := h.keys[e.Key]
	v := k.byIndex[e.ModifyIndex]
	if v == nil {
		v = &treeVersion{index: e.ModifyIndex, created: e.CreateIndex, value: e.Value, op: op}
		k.versions, k.byIndex[v.index] = append(k.versions, v), v
		return
	}
	if e.Value != v.value {
		h.problem(e.Key, fmt.Sprintf("index %d stands for %q (%s) and for %q (%s of %s at %s)", v.index, v.value, describeVersion(v), e.Value, op.F, op.Node, clock(op.Return)), v.op, op)
	}
	if e.CreateIndex != 0 && v.created != 0 && e.CreateIndex != v.created {
		h.problem(e.Key, fmt.Sprintf("at index %d it was made at index %d (%s) and at index %d (%s of %s at %s)", v.index, v.created, describeVersion(v), e.CreateIndex, op.F, op.Node, clock(op.Return)), v.op, op)
	}
	v.created = cmp.Or(v.created, e.CreateIndex)
	if op.Return < v.op.Return {
		v.op = op
	}
}

// attribute finds who wrote a version, which gives that operation its index.
func (h *treeHistory) attribute(k *treeKey, v *treeVersion) {
	if v.value == "" {
		h.attributeBlank(k, v)
		return
	}
	by := h.writers[v.value]
	switch {
	case by == nil:
		h.problem(k.name, fmt.Sprintf("%s is %q, which nobody asked to write", describeVersion(v), v.value), v.op)
		return
	case by.op.Key != k.name:
		h.problem(k.name, fmt.Sprintf("%s is %q, which was written to another key, %s", describeVersion(v), v.value, by.op.Key), by.op, v.op)
		return
	case by.op.Type == history.Fail:
		h.problem(k.name, fmt.Sprintf("%s is %q, whose %s had certainly failed (%s)", describeVersion(v), v.value, by.op.F, by.op.Error), by.op, v.op)
		return
	case by.op.Invoke > v.op.Return:
		h.problem(k.name, fmt.Sprintf("%s is %q, which was only asked for at %s", describeVersion(v), v.value, clock(by.op.Invoke)), v.op, by.op)
		return
	case by.at != 0 && by.at != v.index:
		h.problem(k.name, fmt.Sprintf("%s is %q, whose %s took effect at index %d", describeVersion(v), v.value, by.op.F, by.at), by.op, v.op)
		return
	}
	by.at, v.by = v.index, by
}

// attributeBlank finds who may have written nothing: a value that is not unique.
func (h *treeHistory) attributeBlank(k *treeKey, v *treeVersion) {
	possible := false
	for _, c := range k.blanks {
		if c.at == v.index {
			v.by = c
			return
		}
		possible = possible || c.at == 0 && c.op.Invoke <= v.op.Return
	}
	if !possible {
		h.problem(k.name, fmt.Sprintf("%s is empty, which nobody can have written by then at this index", describeVersion(v)), v.op)
	}
}

// file tells the keys of a change what cannot be told from their versions: deletions, and writes of unknown index.
func (h *treeHistory) file(c *treeChange) {
	if !c.deletes {
		if c.at == 0 && c.op.Type == history.OK {
			k := h.keys[c.op.Key]
			k.unseen = append(k.unseen, c)
		}
		return
	}
	covered := []string{c.op.Key}
	if c.tree() {
		covered = h.under(c.op.Key)
	}
	for _, name := range covered {
		k := h.keys[name]
		switch {
		case c.at != 0:
			k.gone = append(k.gone, c)
			continue
		case c.op.Type == history.OK:
			k.unseen = append(k.unseen, c)
		}
		k.floating = append(k.floating, c)
	}
}

// judgeKeys asks of each key whether its versions and deletions can follow each other.
func (h *treeHistory) judgeKeys() {
	for _, name := range h.names {
		h.live(h.keys[name])
	}
	for _, name := range h.names {
		k := h.keys[name]
		for i, v := range k.versions[min(1, len(k.versions)):] {
			h.judgeLife(k, k.versions[i], v)
		}
		for _, c := range k.gone {
			h.judgeGone(k, c)
		}
	}
	for _, c := range h.changes {
		if c.deletes && c.at == 0 && c.op.Type == history.OK && !h.hasRoom(c) {
			h.problem(c.op.Key, fmt.Sprintf("a %s of %s was answered at %s, and at no time by then were the keys that it covers gone", c.op.F, c.op.Node, clock(c.op.Return)), c.op)
		}
	}
}

// live finds since when a key was there in each of its versions.
func (h *treeHistory) live(k *treeKey) {
	slices.SortStableFunc(k.gone, func(a, b *treeChange) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(k.floating, func(a, b *treeChange) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	for i, v := range k.versions {
		v.since = cmp.Or(v.created, v.index)
		if v.by != nil && v.by.compares {
			h.compared(k, i)
		}
		if i > 0 && v.since <= k.versions[i-1].index {
			v.since = min(v.since, k.versions[i-1].since)
		}
	}
}

// compared uses that a compare-and-set took effect: the key was as it says until then.
func (h *treeHistory) compared(k *treeKey, i int) {
	v := k.versions[i]
	was := v.by.compared
	if was == 0 {
		if v.created != 0 && v.created != v.index {
			h.problem(k.name, fmt.Sprintf("%s was written if the key was absent, and the key was there since index %d", describeVersion(v), v.created), v.by.op, v.op)
		}
		v.created, v.since = v.index, v.index
		return
	}
	if v.created > was {
		h.problem(k.name, fmt.Sprintf("%s was written if index %d was still there, and the key was made at index %d", describeVersion(v), was, v.created), v.by.op, v.op)
		return
	}
	v.since = min(v.since, was)
	if i > 0 {
		before := k.versions[i-1]
		if before.index > was {
			h.problem(k.name, fmt.Sprintf("%s was written if index %d was still there, and by then index %d was (%s): it overwrote what it never saw",
				describeVersion(v), was, before.index, describeVersion(before)), before.op, v.by.op)
		} else {
			v.since = min(v.since, before.since)
			v.created = cmp.Or(v.created, before.created)
		}
	}
}

// judgeLife asks what lies between two versions that are known: the same life of the key, or a deletion.
func (h *treeHistory) judgeLife(k *treeKey, before, v *treeVersion) {
	switch {
	case v.since <= before.index:
		if v.created != 0 && before.created != 0 && v.created != before.created {
			h.problem(k.name, fmt.Sprintf("%s was made at index %d, and %s, which it replaced, at %d", describeVersion(v), v.created, describeVersion(before), before.created), before.op, v.op)
		}
	case v.created > before.index:
		if _, ok := h.deletion(k, before.index, v.created, v.op.Return, nil); !ok {
			h.problem(k.name, fmt.Sprintf("%s was made at index %d, though the key was there at index %d and nobody had deleted it", describeVersion(v), v.created, before.index), before.op, v.op)
		}
	}
}

// judgeGone asks whether a key was there at an index at which it was deleted, and whether a condition of the deletion held.
func (h *treeHistory) judgeGone(k *treeKey, c *treeChange) {
	next, _ := slices.BinarySearchFunc(k.versions, c.at, func(v *treeVersion, at uint64) int { return cmp.Compare(v.index, at) })
	if next < len(k.versions) && k.versions[next].since <= c.at {
		v := k.versions[next]
		h.problem(k.name, fmt.Sprintf("it was deleted at index %d, and %s shows it as made at index %d or before: it came back", c.at, describeVersion(v), v.since), c.op, v.op)
	}
	if !c.compares || next == 0 {
		return
	}
	// An index between them may be that of a write that nobody saw.
	if before := k.versions[next-1]; c.compared < before.index || c.compared >= c.at {
		if _, ok := h.deletion(k, before.index, c.at, c.op.Return, nil); !ok {
			h.problem(k.name, fmt.Sprintf("a deletion if index %d was still there took effect at index %d, and by then index %d was there (%s)", c.compared, c.at, before.index, describeVersion(before)), before.op, c.op)
		}
	}
}

// hasRoom reports whether a deletion of unknown index can have taken effect by its answer.
func (h *treeHistory) hasRoom(c *treeChange) bool {
	below, _ := h.told.after(c.op.Return)
	prefix := c.op.Key
	from := h.told.before(c.op.Invoke) + 1
	if c.tree() {
		return skip(h.blocked(prefix), from) < below
	}
	return skip(h.keys[prefix].lives(), from) < below
}

// last is the position of the last version at or before an index; -1 if there is none.
func (k *treeKey) last(at uint64) int {
	i, found := slices.BinarySearchFunc(k.versions, at, func(v *treeVersion, at uint64) int { return cmp.Compare(v.index, at) })
	if found {
		return i
	}
	return i - 1
}

// until is the index at which a version was certainly there no more, and the answer that says so.
func (k *treeKey) until(i int) (uint64, *history.Operation) {
	v := k.versions[i]
	end, by := uint64(noIndex), (*history.Operation)(nil)
	if i+1 < len(k.versions) {
		next := k.versions[i+1]
		end, by = next.index, next.op
		if next.since > v.index {
			end = next.since
		}
	}
	g, _ := slices.BinarySearchFunc(k.gone, v.index+1, func(c *treeChange, at uint64) int { return cmp.Compare(c.at, at) })
	if g < len(k.gone) && k.gone[g].at < end {
		end, by = k.gone[g].at, k.gone[g].op
	}
	return end, by
}

func describeVersion(v *treeVersion) string {
	return fmt.Sprintf("version %d in the answer of %s to a %s at %s", v.index, v.op.Node, v.op.F, clock(v.op.Return))
}

package checker

import (
	"cmp"
	"slices"
	"strings"
)

// treeSpan is a range of indexes, both ends included.
type treeSpan struct{ from, to uint64 }

// lives are the spans in which a key was certainly there, in order.
func (k *treeKey) lives() (all []treeSpan) {
	for _, v := range k.versions {
		all = append(all, treeSpan{v.since, v.index})
	}
	return all
}

// blocked are the spans in which some key with a prefix was certainly there, in order and apart: no deletion of all of
// them took effect then.
func (h *treeHistory) blocked(prefix string) []treeSpan {
	if all, done := h.spans[prefix]; done {
		return all
	}
	var all []treeSpan
	for _, name := range h.under(prefix) {
		all = append(all, h.keys[name].lives()...)
	}
	slices.SortFunc(all, func(a, b treeSpan) int { return cmp.Compare(a.from, b.from) })
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to+1 {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	h.spans[prefix] = merged
	return merged
}

// skip is the smallest index from one on that is in none of the spans, whose ends are in order.
func skip(spans []treeSpan, from uint64) uint64 {
	i, _ := slices.BinarySearchFunc(spans, from, func(s treeSpan, at uint64) int { return cmp.Compare(s.to, at) })
	for ; i < len(spans) && spans[i].from <= from; i++ {
		from = spans[i].to + 1
	}
	return from
}

// presence is that a key was seen, by an answer that was asked for then, in a life that began at an index.
type presence struct {
	asked int64
	since uint64 // the lowest from here on
}

// present is the lowest beginning of a life of any key with a prefix that was seen by a fresh answer asked for after a time: a
// deletion of them all that somebody saw the effect of by then was before that.
func (h *treeHistory) present(prefix string, after int64) uint64 {
	all, done := h.seen[prefix]
	if !done {
		for _, s := range h.sightsOf(prefix) {
			if since := h.lowestLife(s, prefix); s.fresh && since != noIndex {
				all = append(all, presence{s.op.Invoke, since})
			}
		}
		slices.SortFunc(all, func(a, b presence) int { return cmp.Compare(a.asked, b.asked) })
		for i := len(all) - 2; i >= 0; i-- {
			all[i].since = min(all[i].since, all[i+1].since)
		}
		h.seen[prefix] = all
	}
	i, _ := slices.BinarySearchFunc(all, after+1, func(p presence, t int64) int { return cmp.Compare(p.asked, t) })
	if i == len(all) {
		return noIndex
	}
	return all[i].since
}

// sightsOf are those that may show keys with a prefix.
func (h *treeHistory) sightsOf(prefix string) (all []*treeSight) {
	for n := range len(prefix) {
		all = append(all, h.sightsAt[prefix[:n]]...)
	}
	from, _ := slices.BinarySearch(h.asked, prefix)
	for ; from < len(h.asked) && strings.HasPrefix(h.asked[from], prefix); from++ {
		all = append(all, h.sightsAt[h.asked[from]]...)
	}
	return all
}

// lowestLife is where the first life of a key with a prefix began that a sight shows.
func (h *treeHistory) lowestLife(s *treeSight, prefix string) uint64 {
	lowest := uint64(noIndex)
	for _, e := range s.entries {
		if strings.HasPrefix(e.Key, prefix) {
			lowest = min(lowest, h.keys[e.Key].byIndex[e.ModifyIndex].since)
		}
	}
	return lowest
}

// deletion is the lowest index, above one and below a limit, at which a key can have been deleted by an
// operation that was asked for by a time. seen, if it is not nil, says what shows the key as gone.
func (h *treeHistory) deletion(k *treeKey, above, limit uint64, asked int64, seen *treeSight) (lowest uint64, ok bool) {
	lowest = noIndex
	g, _ := slices.BinarySearchFunc(k.gone, above+1, func(c *treeChange, at uint64) int { return cmp.Compare(c.at, at) })
	for ; g < len(k.gone) && k.gone[g].at < limit; g++ {
		if k.gone[g].op.Invoke <= asked {
			lowest = k.gone[g].at
			break
		}
	}
	for _, c := range k.floating {
		if c.op.Invoke > asked {
			break
		}
		if c.compares && c.compared < above {
			continue
		}
		below, _ := h.told.after(c.op.Return)
		below = min(below, limit)
		from := max(above, h.told.before(c.op.Invoke)) + 1
		if c.tree() {
			from = skip(h.blocked(c.op.Key), from)
			if seen != nil {
				below = min(below, h.lowestLife(seen, c.op.Key))
				if seen.fresh {
					below = min(below, h.present(c.op.Key, seen.op.Return))
				}
			}
		}
		if from < below {
			lowest = min(lowest, from)
		}
	}
	return lowest, lowest < limit
}

package storage

import (
	"cmp"
	"slices"
)

// ref is where an entry lies.
type ref struct {
	index   uint64
	segment *segment
	offset  int64 // of its record
	size    int   // of its record
}

// refs are all entries of a log, by rising index. Raft leaves a gap in them after it
// restored a snapshot that is newer than its log.
type refs []ref

func (r refs) find(index uint64) (ref, bool) {
	i, ok := r.search(index)
	if !ok {
		return ref{}, false
	}
	return r[i], true
}

// search is the place of the first entry from index on.
func (r refs) search(index uint64) (int, bool) {
	if len(r) > 0 && index >= r[0].index {
		if i := index - r[0].index; i < uint64(len(r)) && r[i].index == index { // no gap before it
			return int(i), true
		}
	}
	return slices.BinarySearchFunc(r, index, func(a ref, i uint64) int { return cmp.Compare(a.index, i) })
}

// span is the places of the entries that a range covers.
func (r refs) span(in indexRange) (from, to int) {
	if in.min > in.max {
		return 0, 0
	}
	from, _ = r.search(in.min)
	to, ok := r.search(in.max)
	if ok {
		to++
	}
	return from, to
}

// drop takes the entries of a range out, and off their segments' counts of live ones. The
// result shares nothing with r, so the memory of what was dropped is freed.
func (r refs) drop(in indexRange) refs {
	from, to := r.span(in)
	for _, gone := range r[from:to] {
		gone.segment.live--
	}
	return slices.Concat(r[:from], r[to:])
}

func (r refs) first() uint64 {
	if len(r) == 0 {
		return 0
	}
	return r[0].index
}

func (r refs) last() uint64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].index
}

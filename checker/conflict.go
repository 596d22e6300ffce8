package checker

import (
	"cmp"
	"context"
	"math"
	"slices"

	"faultline/workloads/history"
)

// A value that is written once stands in the register once: from its write until the
// last operation that saw it, without a break. So the operations of one value form a
// block, and of any two blocks one comes wholly before the other. Block a can come before
// block b only if no operation of a was asked for after one of b was answered. Where
// neither order is possible, the few operations that say so are a proof that anyone can
// follow, found without a search.
//
// This is the pairwise part of Gibbons and Korach, "Testing Shared Memories" (1997), whose
// zones are the same two numbers; for reads and writes alone it is complete. With
// compare-and-set there are contradictions among three and more values that it misses.
type block struct {
	value       value
	writer      *constraint // nil for "absent", which needs none
	constraints []*constraint
	first       *constraint // answered first
	last        *constraint // asked for last
}

// answered is when the first operation of the block was over.
func (b *block) answered() int64 {
	if b.writer == nil {
		return math.MinInt64 // absent before all
	}
	return b.first.ret
}

// asked is when the last operation of the block began.
func (b *block) asked() int64 { return b.last.call }

// replaces reports whether b's value was compared and set by that of another.
func (b *block) replaces(other *block) bool {
	return b.writer != nil && b.writer.sees(other.value)
}

// blocks groups constraints by value, in the order of their first request; only values that
// certainly stood in the register, and only once.
func blocks(constraints []constraint) []*block {
	many := repeated(constraints)
	shown := firstShown(constraints, many)
	by := map[value]*block{}
	var all []*block
	join := func(v value, f *constraint) *block {
		if many[v] {
			return &block{}
		}
		b := by[v]
		if b == nil {
			b = &block{value: v, first: f, last: f}
			by[v], all = b, append(all, b)
		}
		b.constraints = append(b.constraints, f)
		if f.ret < b.first.ret {
			b.first = f
		}
		if f.call > b.last.call {
			b.last = f
		}
		return b
	}
	for i := range constraints {
		f := &constraints[i]
		if f.maybe {
			if _, ok := shown[f.wrote]; !ok || !f.writes || many[f.wrote] {
				continue
			}
		}
		if f.read == readIs {
			join(f.saw, f)
		}
		if f.writes {
			join(f.wrote, f).writer = f
		}
	}
	return all
}

// before reports whether block a can come before block b.
func before(a, b *block) bool {
	if !b.value.present {
		return false
	}
	if b.writer != nil && b.writer.sees(a.value) {
		return a.asked() <= b.answered() // and it has to: b replaced a
	}
	if a.writer != nil && a.writer.sees(b.value) {
		return false // a replaced b
	}
	return a.asked() <= b.answered()
}

// selfConflict returns constraints of one block that contradict each other, nil if none do.
func selfConflict(b *block) []*constraint {
	if b.value.present && b.writer == nil {
		return []*constraint{b.first} // nobody wrote it
	}
	if b.writer != nil && b.first.ret < b.writer.call {
		return []*constraint{b.writer, b.first} // seen before it was asked for
	}
	var replaced *constraint
	for _, f := range b.constraints {
		if f.contradictory {
			return withWriter(b, f)
		}
		if !f.writes || !f.sees(b.value) {
			continue
		}
		if replaced != nil {
			return withWriter(b, replaced, f) // replaced twice
		}
		replaced = f
	}
	return nil
}

// pairConflict returns constraints by which neither of two blocks can come first, nil if one can.
func pairConflict(a, b *block) []*constraint {
	if before(a, b) || before(b, a) {
		return nil
	}
	return append(withWriter(a, a.first, a.last), withWriter(b, b.first, b.last)...)
}

func withWriter(b *block, constraints ...*constraint) []*constraint {
	if b.writer != nil {
		constraints = append(constraints, b.writer)
	}
	return constraints
}

// conflicting reports whether constraints contradict each other by pairs.
func conflicting(ctx context.Context, constraints []constraint) bool {
	found := false
	conflicts(ctx, blocks(constraints), func([]*constraint, ...*block) bool {
		found = true
		return false
	})
	return found
}

// conflicts calls yield with every contradiction within a block or between two, until
// it returns false or ctx ends.
func conflicts(ctx context.Context, all []*block, yield func(constraints []*constraint, of ...*block) bool) {
	for _, b := range all {
		if constraints := selfConflict(b); constraints != nil && !yield(constraints, b) {
			return
		}
	}
	by := map[value]*block{}
	for _, b := range all {
		by[b.value] = b
	}
	for _, b := range all { // what replaced another has to come after it, wherever they lie
		if b.writer == nil || b.writer.read != readIs || by[b.writer.saw] == nil || by[b.writer.saw] == b {
			continue
		}
		a := by[b.writer.saw]
		if constraints := pairConflict(a, b); constraints != nil && !yield(constraints, a, b) {
			return
		}
	}
	eachOverlap(ctx, all, func(a, b *block) bool {
		if a.replaces(b) || b.replaces(a) {
			return true // looked at above
		}
		constraints := pairConflict(a, b)
		return constraints == nil || yield(constraints, a, b)
	})
}

// stay is something that holds the register, without a break, at least from its first answer to
// its last request, if that is later.
type stay interface {
	answered() int64
	asked() int64
}

// eachOverlap calls yield with every two of which neither can come wholly before the other: each has an
// operation that was asked for after one of the other was answered. It ends when yield returns false, or ctx
// does. What holds the register in a correct history hardly overlaps, so it costs n log n there.
func eachOverlap[S stay](ctx context.Context, all []S, yield func(a, b S) bool) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b S) int { return cmp.Compare(a.answered(), b.answered()) })
	steps := 0
	for i, a := range sorted {
		for _, b := range sorted[i+1:] {
			if b.answered() >= a.asked() {
				break // as all that follow
			}
			if steps++; steps%4096 == 0 && ctx.Err() != nil {
				return
			}
			if b.asked() > a.answered() && !yield(a, b) {
				return
			}
		}
	}
}

// projectOn is the projection of constraints on the blocks, and of that only the chosen ones. Where a
// register can become absent again, that it was absent says nothing about the blocks.
func projectOn(constraints []constraint, chosen []*constraint, of ...*block) []constraint {
	wanted := map[*history.Operation]bool{}
	for _, f := range chosen {
		wanted[f.op] = true
	}
	some := slices.DeleteFunc(slices.Clone(constraints), func(f constraint) bool { return !wanted[f.op] })
	if repeated(constraints)[absent] {
		some = withoutAbsent(some)
	}
	return project(some, func(v value) bool {
		return slices.ContainsFunc(of, func(b *block) bool { return b.value == v })
	})
}

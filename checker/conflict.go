package checker

import (
	"math"
	"slices"

	"faultline/workloads/history"
)

// A value that is written once stands in the register once: from its write until the
// last operation that saw it, without a break. So the operations of one value form a
// block, and of any two blocks one comes wholly before the other. Block a can come before
// block b only if no operation of a was asked for after one of b was answered. Where
// neither order is possible, the few operations that say so are a proof that anyone can
// follow, found without any search.
//
// This is the pairwise part of Gibbons and Korach, "Testing Shared Memories" (1997), whose
// zones are the same two numbers; for reads and writes alone it is complete. With
// compare-and-set there are contradictions among three and more values that it misses.
type block struct {
	value  value
	writer *fact // nil for "absent", which needs none
	facts  []*fact
	first  *fact // answered first
	last   *fact // asked for last
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

// blocks groups facts by value, in the order of their first request; only values that
// certainly stood in the register. Written values must be unique.
func blocks(facts []fact) []*block {
	shown := firstShown(facts)
	by := map[value]*block{}
	var all []*block
	join := func(v value, f *fact) *block {
		b := by[v]
		if b == nil {
			b = &block{value: v, first: f, last: f}
			by[v], all = b, append(all, b)
		}
		b.facts = append(b.facts, f)
		if f.ret < b.first.ret {
			b.first = f
		}
		if f.call > b.last.call {
			b.last = f
		}
		return b
	}
	for i := range facts {
		f := &facts[i]
		if f.maybe {
			if _, ok := shown[f.wrote]; !ok || !f.writes {
				continue
			}
		}
		if f.sight == sawIs {
			join(f.saw, f)
		}
		if f.writes {
			join(f.wrote, f).writer = f
		}
	}
	return all
}

// before tells whether block a can come before block b.
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

// alone finds what one block contradicts itself by, nil if nothing.
func alone(b *block) []*fact {
	if b.value.present && b.writer == nil {
		return []*fact{b.first} // nobody wrote it
	}
	if b.writer != nil && b.first.ret < b.writer.call {
		return []*fact{b.writer, b.first} // seen before it was asked for
	}
	var replaced *fact
	for _, f := range b.facts {
		if f.absurd {
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

// together finds what two blocks contradict each other by, nil if one can come first.
func together(a, b *block) []*fact {
	if before(a, b) || before(b, a) {
		return nil
	}
	return append(withWriter(a, a.first, a.last), withWriter(b, b.first, b.last)...)
}

func withWriter(b *block, facts ...*fact) []*fact {
	if b.writer != nil {
		facts = append(facts, b.writer)
	}
	return facts
}

// conflicting tells whether facts contradict each other by pairs.
func conflicting(facts []fact) bool {
	found := false
	conflicts(blocks(facts), func([]*fact, ...*block) bool {
		found = true
		return false
	})
	return found
}

// conflicts calls yield with every contradiction within a block or between two, until
// it returns false.
func conflicts(all []*block, yield func(facts []*fact, of ...*block) bool) {
	for _, b := range all {
		if facts := alone(b); facts != nil && !yield(facts, b) {
			return
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if facts := together(a, b); facts != nil && !yield(facts, a, b) {
				return
			}
		}
	}
}

// gather is the projection of facts on the blocks, and of that only the chosen ones.
func gather(facts []fact, chosen []*fact, of ...*block) []fact {
	wanted := map[*history.Operation]bool{}
	for _, f := range chosen {
		wanted[f.op] = true
	}
	some := slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return !wanted[f.op] })
	return project(some, func(v value) bool {
		return slices.ContainsFunc(of, func(b *block) bool { return b.value == v })
	})
}

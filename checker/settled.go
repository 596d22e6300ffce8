package checker

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// withoutSettled drops failed compares that hide what they found, and of which the rest shows that there
// is a moment for them: somewhere between their call and their return the register certainly held
// something else. A compare-and-set that answers a bare "false" is nearly always of that kind, and
// one that is left asks for a search. kept are constraints of all that have been prepared.
func withoutSettled(kept, all []constraint) []constraint {
	if !hides(kept) {
		return kept
	}
	s := newSettler(kept, all)
	return slices.DeleteFunc(slices.Clone(kept), func(f constraint) bool {
		return f.read == readIsNot && s.settled(&f)
	})
}

// settler knows when values certainly stood in the register.
type settler struct {
	of       map[value]*block
	written  map[value]*constraint // by whom, if nobody else does
	many     map[value]bool
	next     map[value]*block // what a compare-and-set certainly made of it
	answered []best           // blocks by answered, with the latest asked so far
	asked    []best           // blocks by asked, latest first, with the earliest answered so far
	zones    []best           // blocks that hold the register for a time, by answered, with the latest asked so far
}

// best is one more block of a row of them, and which two of the row so far are the best.
type best struct {
	at    int64
	first *block
	other *block
}

func newSettler(kept, all []constraint) *settler {
	s := &settler{of: map[value]*block{}, written: map[value]*constraint{}, many: repeated(all), next: map[value]*block{}}
	for i := range all {
		if f := &all[i]; f.writes {
			s.written[f.wrote] = f
		}
	}
	bs := slices.DeleteFunc(blocks(kept), func(b *block) bool { return s.many[b.value] })
	var zones []*block
	for _, b := range bs {
		s.of[b.value] = b
		if b.writer != nil && b.writer.read == readIs {
			s.next[b.writer.saw] = b
		}
		if b.answered() <= b.asked() {
			zones = append(zones, b)
		}
	}
	later := func(a, b *block) bool { return a.asked() > b.asked() }
	s.answered = row(bs, (*block).answered, later)
	s.zones = row(zones, (*block).answered, later)
	s.asked = row(bs, func(b *block) int64 { return -b.asked() }, func(a, b *block) bool { return a.answered() < b.answered() })
	return s
}

// row sorts blocks by a time.
func row(all []*block, by func(*block) int64, better func(a, b *block) bool) []best {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b *block) int { return cmp.Compare(by(a), by(b)) })
	out := make([]best, 0, len(sorted))
	var now best
	for _, b := range sorted {
		now.at = by(b)
		switch {
		case now.first == nil || better(b, now.first):
			now.first, now.other = b, now.first
		case now.other == nil || better(b, now.other):
			now.other = b
		}
		out = append(out, now)
	}
	return out
}

// bestOf is the best block of a row up to a time that is not but; nil if there is none.
func bestOf(row []best, until int64, but *block) *block {
	i := sort.Search(len(row), func(i int) bool { return row[i].at > until })
	if i == 0 {
		return nil
	}
	if row[i-1].first != but {
		return row[i-1].first
	}
	return row[i-1].other
}

// settled reports whether the register certainly held something else than f.saw at some moment between
// f's call and return.
func (s *settler) settled(f *constraint) bool {
	a := s.of[f.saw]
	if b := bestOf(s.zones, f.ret, a); b != nil && b.asked() >= f.call {
		return true // another value was there
	}
	if s.many[f.saw] {
		return false
	}
	if w := s.written[f.saw]; f.saw.present && (w == nil || w.call > f.call) {
		return true // it was not there yet
	}
	if a == nil {
		return false
	}
	if b := s.next[f.saw]; b != nil && b.answered() <= f.ret {
		return true // it had been replaced
	}
	if b := bestOf(s.answered, f.ret, a); b != nil && b.asked() > a.answered() {
		return true // another came after it, and was there
	}
	if b := bestOf(s.asked, -f.call, a); b != nil && b.answered() < a.asked() {
		return true // another came before it, and was there still
	}
	return false
}

// placed puts the failed compares that hide what they found into an order of all others, each where it can
// be, if everybody takes effect as early as possible. It returns nil if one fits nowhere.
func placed(order []*constraint, hiding []*constraint) []*constraint {
	type stand struct {
		from  int64
		after int // operations of the order
		holds value
	}
	stands := []stand{{math.MinInt64, 0, absent}}
	now := int64(math.MinInt64)
	for i, f := range order {
		if now = max(now, f.call); f.writes {
			stands = append(stands, stand{now, i + 1, f.wrote})
		}
	}
	at := make(map[int][]*constraint, len(hiding))
	for _, f := range hiding {
		i := sort.Search(len(stands), func(i int) bool { return stands[i].from >= f.call })
		for i = max(0, i-1); i < len(stands) && stands[i].from <= f.ret && stands[i].holds == f.saw; i++ {
		}
		if i == len(stands) || stands[i].from > f.ret {
			return nil
		}
		at[stands[i].after] = append(at[stands[i].after], f)
	}
	out := make([]*constraint, 0, len(order)+len(hiding))
	for i := range len(order) + 1 {
		slices.SortStableFunc(at[i], func(a, b *constraint) int { return cmp.Compare(a.call, b.call) })
		out = append(out, at[i]...)
		if i < len(order) {
			out = append(out, order[i])
		}
	}
	return out
}

package checker

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"faultline/workloads/history"
)

// act is a constraint with its values numbered. A value that no operation asks for has the number of
// all such values: they cannot be told apart, so writes of them are equal.
type act struct {
	constraint *constraint
	read       read
	writes     bool
	maybe      bool
	saw        int32 // meaningless if read is readNothing
	wrote      int32 // meaningless unless it writes
	slot       int32 // its bit in configurations, while it is under way
	rank       int32 // of its return among all returns
	call, ret  int64 // of a maybe act, ret is when it can be of no more use to anybody
}

// finds reports whether the act, if it happened, can have found the value.
func (a *act) finds(v int32) bool {
	switch a.read {
	case readIs:
		return v == a.saw
	case readIsNot:
		return v != a.saw
	case readIsOrGone:
		return v == a.saw || v == absentID
	}
	return true
}

// uses reports whether the act needs exactly this value.
func (a *act) uses(v int32) bool { return a.read == readIs && a.saw == v && !a.maybe }

// eachFound calls yield with the values that the act looks for.
func (a *act) eachFound(yield func(v int32)) {
	if a.read == readIs || a.read == readIsOrGone {
		yield(a.saw)
	}
	if a.read == readIsOrGone {
		yield(absentID)
	}
}

// sameChange reports whether two acts that write can do the same, each whenever the other can.
func (a *act) sameChange(b *act) bool {
	return a.wrote == b.wrote && a.read == b.read && (a.read == readNothing || a.saw == b.saw)
}

const absentID = 0

// script is the acts of one key and the order in which they begin and end.
type script struct {
	acts   []act
	moves  []move
	slots  int // most acts that are under way at a time
	values int
	// By value: how many acts need it, how many those and all others are that may look for it, how many
	// write it, and when it is needed last.
	users, takers, writers []int32
	lastUse                []int64
	suspects               []suspect // by until; from is the first of all that follow
}

// move is the call of an act, or its return.
type move struct {
	act     int32
	returns bool
}

// suspect is a value of which acts hide that they did not find it: the register can hold it from some time
// on, and the last of those acts begins at another.
type suspect struct{ from, until int64 }

// explainsFrom is when the register can first hold a value that somebody to come after now hides that he
// did not find.
func (s *script) explainsFrom(now int64) int64 {
	i := sort.Search(len(s.suspects), func(i int) bool { return s.suspects[i].until > now })
	if i == len(s.suspects) {
		return math.MaxInt64
	}
	return s.suspects[i].from
}

// suspect lists the suspects.
func (s *script) suspect() {
	by := map[int32]*suspect{}
	for i := range s.acts {
		if a := &s.acts[i]; a.read == readIsNot {
			if by[a.saw] == nil {
				by[a.saw] = &suspect{from: math.MaxInt64}
			}
			by[a.saw].until = max(by[a.saw].until, a.call)
		}
	}
	if len(by) == 0 {
		return
	}
	for i := range s.acts {
		if a := &s.acts[i]; a.writes && by[a.wrote] != nil {
			by[a.wrote].from = min(by[a.wrote].from, a.call)
		}
	}
	if by[absentID] != nil {
		by[absentID].from = math.MinInt64
	}
	for _, one := range by {
		s.suspects = append(s.suspects, *one)
	}
	slices.SortFunc(s.suspects, func(a, b suspect) int { return cmp.Compare(a.until, b.until) })
	for i := len(s.suspects) - 2; i >= 0; i-- {
		s.suspects[i].from = min(s.suspects[i].from, s.suspects[i+1].from)
	}
}

// newScript numbers constraints. Intervals are closed: what begins when another ends overlaps it.
func newScript(constraints []constraint) *script {
	s := &script{acts: make([]act, len(constraints))}
	s.number(constraints)
	s.suspect()
	s.bound()
	s.order()
	return s
}

func (s *script) number(constraints []constraint) {
	ids := map[value]int32{absent: absentID}
	for i := range constraints {
		f := &constraints[i]
		a := &s.acts[i]
		*a = act{constraint: f, read: f.read, writes: f.writes, maybe: f.maybe, call: f.call, ret: max(f.call, f.ret)}
		if f.read == readNothing {
			continue
		}
		id, ok := ids[f.saw]
		if !ok {
			id = int32(len(ids))
			ids[f.saw] = id
		}
		a.saw = id
	}
	unasked := int32(len(ids))
	s.values = len(ids) + 1
	s.users, s.takers, s.writers = make([]int32, s.values), make([]int32, s.values), make([]int32, s.values)
	s.lastUse = make([]int64, s.values)
	for i := range s.acts {
		a := &s.acts[i]
		if a.writes {
			id, ok := ids[a.constraint.wrote]
			if !ok {
				id = unasked
			}
			a.wrote = id
			s.writers[id]++
		}
		a.eachFound(func(v int32) { s.takers[v]++ })
		if a.uses(a.saw) {
			s.users[a.saw]++
			s.lastUse[a.saw] = max(s.lastUse[a.saw], a.call)
		}
	}
}

// bound ends acts that may not have happened when nobody is left who could have found what they
// wrote; from then on, that they happened is as good as that they did not.
func (s *script) bound() {
	last := make([]int64, s.values)
	hidden := int64(-1)
	for i := range s.acts {
		a := &s.acts[i]
		until := a.ret
		if a.maybe {
			until = history.Pending
		}
		a.eachFound(func(v int32) { last[v] = max(last[v], until) })
		if a.read == readIsNot {
			hidden = max(hidden, until)
		}
	}
	for i := range s.acts {
		if a := &s.acts[i]; a.maybe {
			a.ret = max(last[a.wrote], hidden)
		}
	}
}

// order lays calls and returns in the order of time, and gives every act a slot. What is of no
// use as it begins is left out.
func (s *script) order() {
	var calls []int32
	for i := range s.acts {
		if a := &s.acts[i]; !a.maybe || a.writes && a.ret >= a.call {
			calls = append(calls, int32(i))
		}
	}
	returns := slices.Clone(calls)
	slices.SortStableFunc(calls, func(i, j int32) int { return cmp.Compare(s.acts[i].call, s.acts[j].call) })
	slices.SortStableFunc(returns, func(i, j int32) int {
		a, b := &s.acts[i], &s.acts[j]
		if a.ret == b.ret && a.maybe != b.maybe { // whom it may serve goes first
			if b.maybe {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ret, b.ret)
	})
	for rank, i := range returns {
		s.acts[i].rank = int32(rank)
	}
	s.moves = make([]move, 0, 2*len(calls))
	var free []int32
	for _, i := range returns {
		for len(calls) > 0 && s.acts[calls[0]].call <= s.acts[i].ret {
			a := &s.acts[calls[0]]
			if len(free) == 0 {
				free = append(free, int32(s.slots))
				s.slots++
			}
			a.slot, free = free[len(free)-1], free[:len(free)-1]
			s.moves = append(s.moves, move{calls[0], false})
			calls = calls[1:]
		}
		s.moves = append(s.moves, move{i, true})
		free = append(free, s.acts[i].slot)
	}
}

// bytes is what the script holds, roughly.
func (s *script) bytes() int64 { return int64(len(s.acts))*160 + int64(s.values)*80 }

package checker

import "faultline/workloads/history"

// prepare makes the constraints of one key cheap to search without changing the answer. It returns
// what to search, and separately what it dropped.
//
// It drops a write that may or may not have happened and whose value nobody saw.
// Putting such a write after everything else is always allowed, so what is left is
// linearizable only if the whole is. The other direction holds too unless a failed
// compare hides what it found:
//
//	p0  write 1          |--|
//	p1  write 2 (open)        |---------
//	p2  cas 1→3 refused          |--|
//
// Only the open write of 2 explains why p2 did not find 1. See decide for that case.
//
// It bounds every other write by the first answer that shows its value, if nobody else writes
// that: it took effect before. Without a bound it could go anywhere until the end of time,
// and n of those mean 2ⁿ ways. This is sound because each answer that bounds is itself
// judged: the constraints must hold no reads that are allowed to be stale.
//
//	p0  write 2 (open)   |---------------------
//	p1  stale read 2          |--|
//	p2  read 1                      |--|
//
// This is allowed for a system that only promises fresh reads to p2: a follower may have
// applied the write before the leader did. Bounded by p1, it would be called invalid. Where
// stale reads are judged as if they were fresh, p1 and p2 contradict each other anyway.
func prepare(constraints []constraint) (kept, dropped []constraint) {
	many := repeated(constraints)
	shown := firstShown(constraints, many)
	sought := soughtValues(constraints, shown)
	kept = make([]constraint, 0, len(constraints))
	for _, f := range constraints {
		if !f.writes {
			kept = append(kept, f)
			continue
		}
		first, seen := shown[f.wrote]
		if f.maybe && !seen && !sought[f.wrote] {
			dropped = append(dropped, f)
			continue
		}
		if seen && !many[f.wrote] {
			// The answer may have come before the write was even asked for: an impossible
			// history, but an interval has to end after it begins.
			f.ret = max(f.call, min(f.ret, first))
			f.maybe = false
		}
		kept = append(kept, f)
	}
	return kept, dropped
}

// soughtValues are those that somebody would act on although no answer shows that they stood in the
// register: a compare-and-delete, or a compare that may not have happened and that itself matters,
// because its own value is sought, or shown and written by others too.
func soughtValues(constraints []constraint, shown map[value]int64) map[value]bool {
	sought := map[value]bool{}
	var open []*constraint
	for i := range constraints {
		f := &constraints[i]
		if f.read == readIsOrGone {
			sought[f.saw], sought[absent] = true, true
		}
		if f.read == readIs && f.maybe && f.writes {
			open = append(open, f)
		}
	}
	for size := -1; size != len(sought); {
		size = len(sought)
		for _, f := range open {
			if _, seen := shown[f.wrote]; seen || sought[f.wrote] {
				sought[f.saw] = true
			}
		}
	}
	return sought
}

// firstShown is, for every value that certainly stood in the register, the earliest
// time at which the answer of an operation that saw it was there. A compare-and-set
// also counts from the time at which the value that it wrote was shown, whatever became
// of its own answer, because by then it had seen the value before.
func firstShown(constraints []constraint, many map[value]bool) map[value]int64 {
	shown := map[value]int64{}
	chains := map[value]*constraint{} // compare-and-sets by what they wrote
	for i := range constraints {
		if f := &constraints[i]; f.writes && f.read == readIs && !many[f.wrote] {
			chains[f.wrote] = f
		}
	}
	show := func(v value, at int64) {
		for range len(chains) + 1 { // at most once round, because they may form a circle
			if old, ok := shown[v]; ok && old <= at {
				return
			}
			shown[v] = at
			f := chains[v]
			if f == nil {
				return
			}
			v = f.saw
		}
	}
	for i := range constraints {
		f := &constraints[i]
		if f.read == readIs && !f.maybe && f.ret != history.Pending {
			show(f.saw, f.ret)
		}
	}
	return shown
}

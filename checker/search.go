package checker

import (
	"context"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// answer is what a search says of some constraints.
type answer uint8

const (
	legal answer = iota
	illegal
	undecided
)

// decide reports whether the constraints of one key are linearizable. why is for undecided. Each tier
// decides what it can, in a time that does not explode, and leaves the rest to the next:
//
//   - an order that is guessed and then replayed, where no value is written twice (guessHolds);
//   - a contradiction between values that are written once (conflicting, refuted);
//   - just-in-time linearization (linearize), which is complete but for its budget;
//   - Porcupine (search), if that ran out of memory.
//
// Where failed compares hide what they found and prepare dropped writes that may explain them, all of it
// has to be searched. It tries without those writes first (yes is an answer), and if it is not easy without
// the compares as well (no is an answer).
func decide(ctx context.Context, constraints []constraint, memory *memory) (a answer, why string) {
	kept, dropped := prepare(constraints)
	kept = withoutSettled(kept, constraints)
	unique := uniqueWrites(kept)
	if unique && guessHolds(kept) {
		return legal, ""
	}
	if conflicting(ctx, constraints) || unique && refuted(ctx, kept) {
		return illegal, ""
	}
	if hidden(kept, dropped) {
		if a, _ := linearize(ctx, kept, memory, glance); a == legal {
			return a, ""
		}
		all := slices.Concat(kept, dropped)
		if a, _ := linearize(ctx, all, memory, glance); a != undecided {
			return a, ""
		}
		open := slices.DeleteFunc(slices.Clone(kept), func(f constraint) bool { return f.read == readIsNot })
		if a, _ := searchAll(ctx, open, memory); a == illegal {
			return a, ""
		}
		kept = all
	}
	return searchAll(ctx, kept, memory)
}

const glance = 256 // configurations for a look whether a key is easy

// searchAll lets the tiers that search try one after the other.
func searchAll(ctx context.Context, constraints []constraint, memory *memory) (a answer, why string) {
	a, why = linearize(ctx, constraints, memory, widest)
	if a != undecided || ctx.Err() != nil {
		return a, why
	}
	if b, _ := search(ctx, constraints, memory); b != undecided {
		return b, ""
	}
	return a, why
}

// hides reports whether there is a failed compare that hides what it found.
func hides(constraints []constraint) bool {
	return slices.ContainsFunc(constraints, func(f constraint) bool { return f.read == readIsNot })
}

// hidden reports whether a failed compare that hides what it found may have found one of
// the dropped writes.
func hidden(constraints, dropped []constraint) bool {
	for i := range constraints {
		if constraints[i].read != readIsNot {
			continue
		}
		for j := range dropped {
			if constraints[i].ret >= dropped[j].call {
				return true
			}
		}
	}
	return false
}

// search lets Porcupine decide. It ends soon after ctx does.
//
// Porcupine would run for as long as it takes, in a goroutine of its own; its timeout
// would return and leave that goroutine behind. So the search is stopped from the
// inside: once it is to stop, no step is possible any more, and Porcupine gives up
// by itself, having undone at most the steps that it stands on.
func search(ctx context.Context, constraints []constraint, memory *memory) (a answer, why string) {
	if n := len(constraints); needs(n) > memory.share() {
		return undecided, fmt.Sprintf("%d operations on one key need at least %d MB to judge", n, needs(n)>>20)
	}
	model := registerModel()
	plain := model.Step
	var steps int
	var stopped string
	each := stepBytes(len(constraints))
	model.StepContext = func(_ context.Context, state, input, output any) (bool, any) {
		if stopped != "" {
			return false, state
		}
		if steps++; steps%1024 == 0 {
			memory.sample()
			if ctx.Err() != nil {
				stopped = "out of time"
				return false, state
			}
			if int64(steps)*each > memory.share() && memory.exhausted() {
				stopped = "out of memory"
				return false, state
			}
		}
		return plain(state, input, output)
	}
	if ctx.Err() != nil {
		return undecided, "out of time"
	}
	// No timeout, so Porcupine has joined its goroutine when it returns.
	ok := porcupine.CheckOperations(model, toPorcupine(constraints))
	switch {
	case stopped != "":
		return undecided, fmt.Sprintf("%s after %d steps through %d operations", stopped, steps, len(constraints))
	case ok:
		return legal, ""
	}
	return illegal, ""
}

// step is a constraint as the model sees it. Values are numbered, 0 being "absent", so that
// a state is a small integer, which Go boxes without allocating.
type step struct {
	constraint
	sawID, wroteID int
	label          string // for pictures
}

// toPorcupine keeps the order of the constraints. Processes are numbered from 0 in the order
// of their first operation, because pictures draw a row for every number.
func toPorcupine(constraints []constraint) []porcupine.Operation {
	ids := map[value]int{absent: 0}
	id := func(v value) int {
		n, ok := ids[v]
		if !ok {
			n = len(ids)
			ids[v] = n
		}
		return n
	}
	rows := map[int64]int{}
	ops := make([]porcupine.Operation, 0, len(constraints))
	for _, f := range constraints {
		s := &step{constraint: f}
		if f.read != readNothing {
			s.sawID = id(f.saw)
		}
		if f.writes {
			s.wroteID = id(f.wrote)
		}
		p := int64(f.op.Process)
		if _, ok := rows[p]; !ok {
			rows[p] = len(rows)
		}
		ops = append(ops, porcupine.Operation{ClientId: rows[p], Input: s, Call: f.call, Return: f.ret})
	}
	return ops
}

// registerModel is the sequential register. An operation that may not have happened
// ends never, so Porcupine may put it after all others, which is as good as nowhere.
func registerModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, _ any) (bool, any) {
			s := input.(*step)
			now := state.(int)
			if s.contradictory {
				return false, state
			}
			switch s.read {
			case readIs:
				if now != s.sawID {
					return s.maybe, state
				}
			case readIsNot:
				if now == s.sawID {
					return false, state
				}
			case readIsOrGone:
				if now != s.sawID && now != 0 {
					return s.maybe, state
				}
			}
			if s.writes {
				return true, s.wroteID
			}
			return true, state
		},
		Equal: func(a, b any) bool { return a.(int) == b.(int) },
		// Spread over all bits: Porcupine combines it with the hash of a bit set by xor.
		Hash: func(state any) uint64 { return uint64(state.(int)) * 0x9e3779b97f4a7c15 },
	}
}

// stepBytes is what Porcupine keeps for a state that it has not met before, in a
// search through n operations: a bit set, its header, the state and a map's entry.
func stepBytes(n int) int64 { return int64(n)/8 + 120 }

// needs is what a search of n operations keeps if it never turns back: its entries,
// and a state after every operation. So memory grows with the square of n.
func needs(n int) int64 { return int64(n) * (stepBytes(n) + 400) }

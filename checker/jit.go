package checker

import (
	"context"
	"fmt"
	"slices"
	"sort"
)

const (
	firstWidth = 64 // configurations of the first walk
	wider      = 32 // each walk keeps so many times more than the last
)

// linearize decides whether constraints are linearizable by carrying along all that the register can
// have been through: just-in-time linearization (Lowe, "Testing for linearizability", 2017), after
// Wing and Gong. It walks through the calls and returns in the order of time and keeps a set of
// configurations: a value, and which of the operations under way have taken effect. Only when an operation
// returns that has not taken effect in a configuration, others may, and it last. The history is
// linearizable if any configuration is left at the end.
//
// The set grows with what clients do at a time, and not with the length of the history. What keeps
// it small, all of it without changing the answer:
//
//   - an operation that writes nothing takes effect as soon as the value allows: that forbids nothing;
//   - of equal writes the one goes first that has to return first;
//   - a write that may not have happened does so only for somebody who finds its value, there and then;
//   - a value is left only if whoever still needs it can find it again (stuck);
//   - a write that nobody to come can find does so unseen, before the next write that needs nothing (unseen);
//   - of two configurations of one value the one goes that can do nothing that the other cannot (dominated).
//
// It first keeps few configurations and drops the rest. If one of them reaches the end, that is an
// answer; if none does, it begins again and keeps more, as many as memory allows. "Not linearizable" rests
// on a walk that dropped none.
func linearize(ctx context.Context, constraints []constraint, memory *memory) (a answer, why string) {
	if slices.ContainsFunc(constraints, func(f constraint) bool { return f.contradictory }) {
		return illegal, ""
	}
	if ctx.Err() != nil {
		return undecided, "out of time"
	}
	s := newScript(constraints)
	if s.bytes() > memory.share() {
		return undecided, fmt.Sprintf("%d operations on one key need at least %d MB to judge", len(constraints), s.bytes()>>20+1)
	}
	most := max(firstWidth, int(min(1<<28, (memory.share()-s.bytes())/int64(128*(s.slots/64+3)))))
	for width := firstWidth; ; width = min(width*wider, most) {
		w := newWalker(ctx, s, memory, width)
		a = w.run()
		switch {
		case a != illegal || !w.dropped:
		case width < most:
			continue
		default:
			return undecided, fmt.Sprintf("out of memory after %d steps through %d operations, with %d orders open at a time",
				w.steps, len(constraints), width)
		}
		if a == undecided {
			why = fmt.Sprintf("out of time after %d steps through %d operations", w.steps, len(constraints))
		}
		return a, why
	}
}

// walker is one walk through a script.
type walker struct {
	*script
	ctx     context.Context
	memory  *memory
	width   int
	steps   int  // configurations that were expanded
	work    int  // since the clock was looked at
	dropped bool // configurations were dropped for want of room
	stopped bool // ctx is over

	now, then, between *configs
	group              *configs
	heads, chain       []int32 // the last configuration of every group; of every configuration, the one before it in its group
	scratch, mask      []uint64

	users, takers, writers []int32 // by value: acts that have not begun
	hidden                 int     // acts that have begun and hide what they found
	// What is under way. Bits of acts that only look, by the value that they look for, and of
	// those that look for another.
	looking, avoiding [][]uint64
	avoids            []uint64
	changing          []int32 // acts that write, equal ones side by side, the first to return first
	due               []int32 // acts that have happened, by their return
	unseen            []int32 // of changing, see unseenBy
}

func newWalker(ctx context.Context, s *script, memory *memory, width int) *walker {
	size := 1 + (s.slots+63)/64
	return &walker{script: s, ctx: ctx, memory: memory, width: width,
		now: newConfigs(size), then: newConfigs(size), between: newConfigs(size), group: newConfigs(size),
		scratch: make([]uint64, size), mask: make([]uint64, size),
		users: slices.Clone(s.users), takers: slices.Clone(s.takers), writers: slices.Clone(s.writers),
		looking: make([][]uint64, s.values), avoiding: make([][]uint64, s.values), avoids: make([]uint64, size)}
}

func (w *walker) run() answer {
	w.now.add(make([]uint64, w.now.size)) // absent
	for _, m := range w.moves {
		if w.tick(1 + w.now.len()); w.stopped {
			return undecided
		}
		if !m.returns {
			w.begin(m.act)
			continue
		}
		if w.end(m.act); w.stopped {
			return undecided
		}
		if w.now.len() == 0 {
			return illegal
		}
	}
	return legal
}

// tick counts work, in configurations that were touched, and looks at the clock now and then.
func (w *walker) tick(work int) {
	if w.work += work; w.work < 8192 {
		return
	}
	w.work = 0
	w.memory.sample()
	w.stopped = w.stopped || w.ctx.Err() != nil
}

// Bits of an act.
func (w *walker) has(c []uint64, a *act) bool { return c[1+a.slot/64]>>(a.slot%64)&1 != 0 }
func set(c []uint64, a *act)                  { c[1+a.slot/64] |= 1 << (a.slot % 64) }
func unset(c []uint64, a *act)                { c[1+a.slot/64] &^= 1 << (a.slot % 64) }

// begin puts an act under way.
func (w *walker) begin(i int32) {
	a := &w.acts[i]
	a.eachFound(func(v int32) { w.takers[v]-- })
	if a.uses(a.saw) {
		w.users[a.saw]--
	}
	if !a.maybe {
		at := sort.Search(len(w.due), func(j int) bool { return w.acts[w.due[j]].rank > a.rank })
		w.due = slices.Insert(w.due, at, i)
	}
	if a.writes {
		w.writers[a.wrote]--
		at := sort.Search(len(w.changing), func(j int) bool { return goesBefore(a, &w.acts[w.changing[j]]) })
		w.changing = slices.Insert(w.changing, at, i)
		return
	}
	of := w.looking
	if a.read == readIsNot {
		of = w.avoiding
		set(w.avoids, a)
		w.hidden++
	}
	if of[a.saw] == nil {
		of[a.saw] = make([]uint64, w.now.size)
	}
	set(of[a.saw], a)
}

// goesBefore orders changing.
func goesBefore(a, b *act) bool {
	switch {
	case a.wrote != b.wrote:
		return a.wrote < b.wrote
	case a.read != b.read:
		return a.read < b.read
	case a.read != readNothing && a.saw != b.saw:
		return a.saw < b.saw
	case a.maybe != b.maybe:
		return b.maybe
	case a.maybe: // in the order of their calls
		return false
	}
	return a.rank < b.rank
}

// forget takes an act away that was under way.
func (w *walker) forget(i int32) {
	a := &w.acts[i]
	if !a.maybe {
		w.due = slices.DeleteFunc(w.due, func(j int32) bool { return i == j })
	}
	if a.writes {
		w.changing = slices.DeleteFunc(w.changing, func(j int32) bool { return i == j })
		return
	}
	if a.read == readIsNot {
		unset(w.avoids, a)
		unset(w.avoiding[a.saw], a)
		return
	}
	unset(w.looking[a.saw], a)
}

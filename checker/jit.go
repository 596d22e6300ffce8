package checker

import (
	"context"
	"fmt"
	"slices"
	"sort"
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
//   - a value is left only if whoever still needs it can find it again (mayLeave, doomed);
//   - a write that nobody to come can find does so unseen, before the next write that needs nothing (findUnseen);
//   - of two configurations of one value the one goes that can do nothing that the other cannot (dominated).
//
// Beyond that it keeps few configurations, the most promising, and drops the rest. If one of them
// reaches the end, that is an answer. If none is left it goes back some way and keeps more for a while,
// and if that does not help, all the way. "Not linearizable" rests on a walk that dropped none. It
// keeps at most so many configurations as most says and as memory allows, and looks at ctx.
func linearize(ctx context.Context, constraints []constraint, memory *memory, most int) (a answer, why string) {
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
	w := newWalker(ctx, s, memory)
	w.most = max(narrowest, int(min(int64(most), (memory.share()-s.bytes())/int64(256*(s.slots/64+3)))))
	for {
		switch a = w.run(); {
		case a == undecided:
			return a, fmt.Sprintf("out of time after %d steps through %d operations", w.steps, len(constraints))
		case a == legal || !w.dropped:
			return a, ""
		case !w.goBack():
			return undecided, fmt.Sprintf("out of memory after %d steps through %d operations, with %d orders open at a time",
				w.steps, len(constraints), w.width)
		}
	}
}

const (
	narrowest = 4       // configurations that a walk keeps as long as all goes well
	widest    = 1 << 24 // and at most
	wider     = 8       // times more, each time that it has gone back
	wayBack   = 128     // moves to go back, times wider to the power of how often
	milestone = 128     // moves between places to go back to
)

// place is where a walk can go on from.
type place struct {
	move int
	now  []uint64 // its configurations
}

// goBack goes back to try again with more configurations; further, and with more, each time that it
// helps no one to get much further than last time. It returns false if it was at the beginning
// and may not keep more.
func (w *walker) goBack() bool {
	if w.from == 0 && w.width >= w.most {
		return false
	}
	w.tries++
	back := wayBack
	w.width = narrowest
	for range w.tries {
		back, w.width = min(back*wider, len(w.moves)), min(w.width*wider, w.most)
	}
	w.easy = w.at + back/4
	i := sort.Search(len(w.places), func(i int) bool { return w.places[i].move > w.at-back }) - 1
	w.begun()
	if i < 0 {
		w.places, w.dropped = w.places[:0], false
		w.now.reset()
		w.now.add(make([]uint64, w.now.size)) // absent
		return true
	}
	from := w.places[i]
	w.places = w.places[:i]
	for _, m := range w.moves[:from.move] {
		if m.returns {
			w.forget(m.act)
		} else {
			w.begin(m.act)
		}
	}
	w.from, w.at = from.move, from.move
	w.now.reset()
	for c := range slices.Chunk(from.now, w.now.size) {
		w.now.add(c)
	}
	return true
}

// walker is a walk through a script.
type walker struct {
	*script
	ctx    context.Context
	memory *memory

	from, at int     // the move that the walk began with last, and the next
	places   []place // where it was, by move
	width    int     // configurations to keep, of at most most
	most     int
	tries    int  // how often it has gone back since all went well
	easy     int  // the move from which all goes well again
	dropped  bool // configurations were dropped since the first move
	steps    int  // configurations that were expanded
	work     int  // since the clock was looked at
	stopped  bool // ctx is over

	now, then, between *configs
	group              *configs
	heads, chain       []int32 // the last configuration of every group; of every configuration, the one before it in its group
	scratch            []uint64
	more, fewer        []uint64 // see split

	users, takers, writers []int32 // by value: acts that have not begun
	hidden                 int     // acts that have begun and hide what they found
	// What is under way. Bits of acts that only look, by the value that they look for, and of
	// those that look for another.
	looking, avoiding [][]uint64
	avoids            []uint64
	changing          []int32  // acts that write, equal ones side by side, the first to return first
	due               []int32  // acts that have happened, by their return
	unseen, passing   []int32  // of changing, see findUnseen
	wanted            []uint64 // by value, see isWanted
	event             uint64
}

func newWalker(ctx context.Context, s *script, memory *memory) *walker {
	size := 1 + (s.slots+63)/64
	w := &walker{script: s, ctx: ctx, memory: memory, width: narrowest,
		now: newConfigs(size), then: newConfigs(size), between: newConfigs(size), group: newConfigs(size),
		wanted:  make([]uint64, s.values),
		scratch: make([]uint64, size), more: make([]uint64, size), fewer: make([]uint64, size)}
	w.now.add(make([]uint64, size)) // absent
	w.begun()
	return w
}

// begun lets nothing be under way, as at the beginning.
func (w *walker) begun() {
	s := w.script
	w.from, w.at, w.hidden = 0, 0, 0
	w.users, w.takers, w.writers = slices.Clone(s.users), slices.Clone(s.takers), slices.Clone(s.writers)
	w.looking, w.avoiding, w.avoids = make([][]uint64, s.values), make([][]uint64, s.values), make([]uint64, w.now.size)
	w.changing, w.due = nil, nil
}

// run walks on from where it is.
func (w *walker) run() answer {
	for ; w.at < len(w.moves); w.at++ {
		if w.tick(1 + w.now.len()); w.stopped {
			return undecided
		}
		if w.at%milestone == 0 && w.now.len() <= 64 {
			w.places = append(w.places, place{w.at, slices.Clone(w.now.words)})
		}
		if w.at == w.easy {
			w.width, w.tries = narrowest, 0
		}
		m := w.moves[w.at]
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

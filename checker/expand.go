package checker

import (
	"cmp"
	"math/bits"
	"slices"
)

// spare is how many times more configurations a walk makes on its way than it keeps.
const spare = 8

// end lets an act return: every configuration in which it has not taken effect is replaced by those
// in which it does so now, after others or none.
func (w *walker) end(i int32) {
	a := &w.acts[i]
	defer w.forget(i)
	if a.maybe {
		w.each(func(c []uint64) { unset(c, a) })
		return
	}
	all := true
	w.each(func(c []uint64) {
		w.settle(c)
		all = all && w.has(c, a)
	})
	if all {
		w.each(func(c []uint64) { unset(c, a) })
		return
	}
	w.then.reset()
	w.between.reset()
	w.findUnseen(a)
	w.findWanted()
	for j := range w.now.len() {
		c := w.now.at(j)
		if !w.has(c, a) {
			w.between.add(c)
			continue
		}
		unset(c, a)
		w.then.add(c)
	}
	for j := 0; j < w.between.len() && !w.stopped; j++ {
		w.expand(j, a)
	}
	w.now, w.then = w.then, w.now
	clear(w.more)
	clear(w.fewer)
	w.split(w.more, w.fewer)
	w.dominated()
	w.narrow()
}

// narrow keeps the configurations that are most promising, if there are too many: those that have needed
// the fewest acts of which nobody knows whether they happened, and then those that have the least before them.
func (w *walker) narrow() {
	if w.now.len() <= w.width {
		return
	}
	w.dropped = true
	w.tick(w.now.len())
	type one struct{ at, price int }
	var all []one
	for j := range w.now.len() {
		c := w.now.at(j)
		price := 0
		for i := 1; i < len(c); i++ {
			price += 64*bits.OnesCount64(c[i]&w.fewer[i]) - bits.OnesCount64(c[i]&^w.fewer[i])
		}
		all = append(all, one{j, price})
	}
	slices.SortStableFunc(all, func(a, b one) int { return cmp.Compare(a.price, b.price) })
	w.then.reset()
	for _, one := range all[:w.width] {
		w.then.add(w.now.at(one.at))
	}
	w.now, w.then = w.then, w.now
}

func (w *walker) each(do func(c []uint64)) {
	for i := range w.now.len() {
		do(w.now.at(i))
	}
}

// settle lets everybody take effect who only looks and can, now that the register holds c[0].
func (w *walker) settle(c []uint64) { w.settleAs(c, int32(c[0])) }

func (w *walker) settleAs(c []uint64, v int32) {
	looking, avoiding := w.looking[v], w.avoiding[v]
	if looking != nil {
		for i := 1; i < len(c); i++ {
			c[i] |= looking[i]
		}
	}
	if w.hidden == 0 {
		return
	}
	for i := 1; i < len(c); i++ {
		those := w.avoids[i]
		if avoiding != nil {
			those &^= avoiding[i]
		}
		c[i] |= those
	}
}

// expand adds what configuration j of between can become by one change: to then if that lets the target
// take effect, to between if not yet.
func (w *walker) expand(j int, target *act) {
	w.steps++
	w.tick(16)
	from := int32(w.between.at(j)[0])
	only, stuck := w.mayLeave(w.between.at(j), from)
	if stuck {
		return
	}
	var last *act
	for _, i := range w.changing {
		x := &w.acts[i]
		c := w.between.at(j) // which moves as the set grows
		if w.has(c, x) || last != nil && last.sameChange(x) {
			continue
		}
		last = x
		if !x.finds(from) || only != nil && only != x || x.maybe && !w.serves(c, x) {
			continue
		}
		if x.read != readNothing {
			w.change(c, x, nil, target)
			continue
		}
		w.change(c, x, w.passing, target)
		if len(w.unseen) < len(w.passing) {
			w.change(w.between.at(j), x, w.unseen, target)
		}
	}
}

// change lets x take effect in c, and those just before it, unseen.
func (w *walker) change(c []uint64, x *act, those []int32, target *act) {
	d := w.scratch
	copy(d, c)
	w.pass(d, those, x)
	set(d, x)
	d[0] = uint64(x.wrote)
	w.settle(d)
	if w.doomed(d) {
		return
	}
	into := w.between
	if w.has(d, target) {
		unset(d, target)
		into = w.then
	}
	if into.len() < spare*w.width {
		into.add(d)
		return
	}
	if e := into.find(d); e.round != into.round {
		w.dropped = true
	}
}

// mayLeave reports whether c is stuck with its value, because somebody needs it and nobody can write it
// again; if the one who does is under way and replaces it, it is the only way on.
func (w *walker) mayLeave(c []uint64, v int32) (only *act, stuck bool) {
	if w.canWrite(c, v) {
		return nil, false
	}
	if w.users[v] > 0 {
		return nil, true
	}
	for _, i := range w.changing {
		if x := &w.acts[i]; x.uses(v) && !w.has(c, x) {
			if only != nil {
				return nil, true
			}
			only = x
		}
	}
	return only, false
}

// canWrite reports whether anybody can still write v.
func (w *walker) canWrite(c []uint64, v int32) bool {
	if w.writers[v] > 0 {
		return true
	}
	for _, i := range w.changing {
		if x := &w.acts[i]; x.wrote == v && !w.has(c, x) {
			return true
		}
	}
	return false
}

// doomed reports whether the register has to keep its value in c for longer than
// somebody has time who cannot take effect meanwhile.
func (w *walker) doomed(c []uint64) bool {
	v := int32(c[0])
	if w.users[v] == 0 || w.canWrite(c, v) {
		return false
	}
	for _, i := range w.due {
		a := &w.acts[i]
		if a.ret >= w.lastUse[v] {
			break
		}
		if !w.has(c, a) {
			return true
		}
	}
	return false
}

// serves reports whether anybody under way could take effect after x who cannot before.
func (w *walker) serves(c []uint64, x *act) bool {
	if looking := w.looking[x.wrote]; looking != nil {
		for i := 1; i < len(c); i++ {
			if looking[i]&^c[i] != 0 {
				return true
			}
		}
	}
	from := int32(c[0])
	if avoiding := w.avoiding[from]; avoiding != nil && from != x.wrote {
		for i := 1; i < len(c); i++ {
			if avoiding[i]&^c[i] != 0 {
				return true
			}
		}
	}
	for _, i := range w.changing {
		if y := &w.acts[i]; y != x && y.read != readNothing && (!y.maybe || w.isWanted(y.wrote)) && !w.has(c, y) && y.finds(x.wrote) {
			return true
		}
	}
	return false
}

// isWanted reports whether anybody under way could take effect who finds v, and not just for its own sake.
func (w *walker) isWanted(v int32) bool { return w.wanted[v] == w.event }

// findWanted marks the values for isWanted.
func (w *walker) findWanted() {
	w.event++
	more := false
	want := func(v int32) {
		more = more || !w.isWanted(v)
		w.wanted[v] = w.event
	}
	for _, i := range w.due {
		if a := &w.acts[i]; a.read != readIsNot {
			a.eachFound(want)
		}
	}
	for more = true; more; {
		more = false
		for _, i := range w.changing {
			if a := &w.acts[i]; a.maybe && w.isWanted(a.wrote) {
				a.eachFound(want)
			}
		}
	}
}

// findUnseen lists the writes under way that need nothing, that have happened, and whose value nobody needs
// who has not begun, nor anybody who replaces it. For such a write there is nothing to wait for. One
// that is about to return is not among them: it takes effect last.
//
// It is different where the register may hold, before the write returns, what somebody to come hides that he
// did not find: then the write may be all that explains him. So it may take effect unseen, and may wait.
func (w *walker) findUnseen(target *act) {
	w.unseen, w.passing = w.unseen[:0], w.passing[:0]
	explains := w.explainsFrom(target.ret)
	for _, i := range w.changing {
		f := &w.acts[i]
		if f == target || f.maybe || f.read != readNothing || w.takers[f.wrote] > 0 || w.comesFor(f.wrote) {
			continue
		}
		if w.passing = append(w.passing, i); f.ret < explains {
			w.unseen = append(w.unseen, i)
		}
	}
}

// comesFor reports whether somebody under way replaces v, or may.
func (w *walker) comesFor(v int32) bool {
	for _, i := range w.changing {
		if x := &w.acts[i]; x.read != readNothing && x.finds(v) {
			return true
		}
	}
	return false
}

// pass lets writes take effect, and who looks for their values, just before x.
func (w *walker) pass(c []uint64, those []int32, x *act) {
	for _, i := range those {
		if f := &w.acts[i]; f != x && !w.has(c, f) {
			set(c, f)
			w.settleAs(c, f.wrote)
		}
	}
}

// dominated drops configurations that can do nothing that another of the same value cannot. Who has
// only looked, or is unseen, had better have taken effect; who may not have happened, had better
// not; of others neither is better.
func (w *walker) dominated() {
	if w.now.len() < 2 {
		return
	}
	more, fewer := w.more, w.fewer
	key := make([]uint64, w.now.size)
	w.group.reset()
	w.heads, w.chain = w.heads[:0], w.chain[:0]
	for j := range w.now.len() {
		at, isNew := w.group.add(w.keyOf(key, j, more, fewer))
		if isNew {
			w.heads = append(w.heads, -1)
		}
		w.chain = append(w.chain, w.heads[at])
		w.heads[at] = int32(j)
	}
	w.then.reset()
	for j := range w.now.len() {
		at, _ := w.group.add(w.keyOf(key, j, more, fewer))
		if !w.beaten(w.now.at(j), w.heads[at], more, fewer) {
			w.then.add(w.now.at(j))
		}
	}
	w.now, w.then = w.then, w.now
}

// split sets the bits of those under way that had better have taken effect, and of those that had better not.
func (w *walker) split(more, fewer []uint64) {
	for i := 1; i < len(more); i++ {
		more[i] = w.avoids[i]
	}
	for _, i := range w.due {
		if a := &w.acts[i]; !a.writes {
			set(more, a)
		}
	}
	for _, i := range w.changing {
		if w.acts[i].maybe {
			set(fewer, &w.acts[i])
		}
	}
	for _, i := range w.unseen {
		set(more, &w.acts[i])
	}
}

// keyOf is what two configurations must have in common to be compared.
func (w *walker) keyOf(key []uint64, j int, more, fewer []uint64) []uint64 {
	c := w.now.at(j)
	key[0] = c[0]
	for i := 1; i < len(c); i++ {
		key[i] = c[i] &^ (more[i] | fewer[i])
	}
	return key
}

const rivals = 32 // configurations to compare one with

// beaten reports whether one of the configurations from first on dominates c.
func (w *walker) beaten(c []uint64, first int32, more, fewer []uint64) bool {
	w.tick(1)
	for j, n := first, 0; j >= 0 && n < rivals; j, n = w.chain[j], n+1 {
		d := w.now.at(int(j))
		better, same := true, true
		for i := 1; i < len(c) && better; i++ {
			same = same && c[i] == d[i]
			better = c[i]&more[i]&^d[i] == 0 && d[i]&fewer[i]&^c[i] == 0
		}
		if better && !same && w.servedAll(d, c) {
			return true
		}
	}
	return false
}

// servedAll reports whether of the unseen writes that have taken effect in d and not in c, none could
// take effect for somebody who has not in d either.
func (w *walker) servedAll(d, c []uint64) bool {
	for _, i := range w.unseen {
		if f := &w.acts[i]; w.has(d, f) && !w.has(c, f) && w.serves(d, f) {
			return false
		}
	}
	return true
}

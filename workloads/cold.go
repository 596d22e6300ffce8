package workloads

// What becomes of a key that nobody touches for a long time, and of a client that was away for as
// long. Both matter because a system mends much by going on: a write that was lost is covered by
// the next one, 20 ms later.

const (
	newColdKey  = 0.2 // part of the operations on cold keys that begin another one
	coldChange  = 0.5 // part of those on one with changes left that change it
	mostChanges = 5   // of a cold key that is written more than once
)

// nextCold is an operation on a cold key: the first write of a new one, or a read of any, or one of the few
// changes that some have left.
func (g *register) nextCold() Op {
	if len(g.cold) == 0 || g.random.Float64() < newColdKey {
		return g.write(g.newColdKey())
	}
	k := g.cold[g.random.IntN(len(g.cold))]
	k.ops++
	if k.budget == 0 || g.random.Float64() >= coldChange {
		return g.read(k)
	}
	k.budget--
	draw := g.random.IntN(3)
	switch {
	case draw == 0:
		return g.cas(k, k.now)
	case draw == 1 && g.deletes > g.sets:
		return g.delete(k)
	}
	return g.write(k)
}

// newColdKey is a cold key about to be written. When there are many, it takes the place of one that is not
// among the oldest.
func (g *register) newColdKey() *registerKey {
	k := g.newKey(0)
	k.ops++
	if k.once = g.random.IntN(2) == 0; !k.once {
		k.budget = 1 + g.random.IntN(mostChanges-1)
	}
	if len(g.cold) < rememberedKeys {
		g.cold = append(g.cold, k)
	} else {
		g.cold[finalKeys+g.random.IntN(len(g.cold)-finalKeys)] = k
	}
	return k
}

// lateTries bounds the search for a key that a late client can have been told of.
const lateTries = 5

// late is a compare-and-set by a client that was away: of any key that is remembered, by the first state that
// anybody was told of, or, of a key that was left alone, by one that may well be the newest. It was told
// before leaders changed and snapshots were restored; what has changed since then must refuse it.
func (g *register) late() (Op, bool) {
	for range lateTries {
		k := g.used[g.random.IntN(len(g.used))]
		if k.once || !k.first.there {
			continue
		}
		had := k.first
		if g.random.IntN(4) == 0 {
			had = k.now
		}
		k.ops++
		return g.cas(k, had), true
	}
	return Op{}, false
}

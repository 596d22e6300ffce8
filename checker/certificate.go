package checker

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// guessHolds reports whether a guessed linearization holds. The guess costs n log n, and it is
// replayed, so true does not depend on how it was made; false says nothing.
// The constraints have to be prepared and unique.
//
// The guess: a value stands in the register once, and compare-and-set joins values into
// chains, which stand there without a break. A chain of which an operation was answered
// before another was asked for holds the register at least between the two; such spans
// come in their order. Any other chain fits into an instant, at the first that all of it
// allows and that no span covers. (Gibbons and Korach, "Testing Shared Memories", 1997,
// for chains of one value.)
func guessHolds(constraints []constraint) bool {
	order := guess(constraints)
	if len(order) < len(constraints) {
		order = placed(order, hiding(constraints))
	}
	return replay(order, len(constraints))
}

// hiding are the failed compares that hide what they found.
func hiding(constraints []constraint) (out []*constraint) {
	for i := range constraints {
		if constraints[i].read == readIsNot {
			out = append(out, &constraints[i])
		}
	}
	return out
}

// chain is the operations of values that compare-and-set joins, in the only order in
// which they can have happened, but for reads of the same value.
type chain struct {
	constraints []*constraint
	// No operation is answered before first or asked for after last.
	first, last int64
	at          int64 // where to place it
}

func (c *chain) answered() int64 { return c.first }
func (c *chain) asked() int64    { return c.last }
func (c *chain) spans() bool     { return c.first < c.last }

// refuted reports whether prepared constraints contradict each other by chains: one does not fit
// into its own order, or of two neither can come first. It finds what conflicting, which
// looks at single values for the sake of short explanations, does not.
func refuted(ctx context.Context, constraints []constraint) bool {
	chains := chainsOf(constraints)
	if slices.ContainsFunc(chains, func(c *chain) bool { return !replay(c.constraints, len(c.constraints)) }) {
		return true
	}
	found := false
	eachOverlap(ctx, chains, func(a, b *chain) bool {
		found = true
		return false
	})
	return found
}

func guess(constraints []constraint) []*constraint {
	chains := chainsOf(constraints)
	var spans []*chain
	for _, c := range chains {
		if c.at = c.first; c.spans() {
			spans = append(spans, c)
		}
	}
	slices.SortFunc(spans, func(a, b *chain) int { return cmp.Compare(a.first, b.first) })
	for _, c := range chains {
		if !c.spans() {
			c.at = outside(c.last, spans)
		}
	}
	slices.SortStableFunc(chains, func(a, b *chain) int {
		if a.at == b.at && a.spans() != b.spans() {
			if b.spans() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.at, b.at)
	})
	var order []*constraint
	for _, c := range chains {
		order = append(order, c.constraints...)
	}
	return order
}

// outside is the first time from at on that lies in no span. Spans that touch leave room
// for an instant between them.
func outside(at int64, spans []*chain) int64 {
	i, _ := slices.BinarySearchFunc(spans, at, func(c *chain, t int64) int { return cmp.Compare(c.last, t) })
	if i < len(spans) && spans[i].first < at && at < spans[i].last {
		return spans[i].last
	}
	return at
}

// chainsOf begins a chain at every write that is no compare-and-set, and one at "absent".
// It leaves out failed compares that hide what they found.
func chainsOf(constraints []constraint) []*chain {
	readers := map[value][]*constraint{}
	next := map[value]*constraint{}
	starts := []*constraint{nil}
	for i := range constraints {
		f := &constraints[i]
		switch {
		case f.writes && f.read == readIs:
			next[f.saw] = f
		case f.writes:
			starts = append(starts, f)
		case f.read == readIs:
			readers[f.saw] = append(readers[f.saw], f)
		}
	}
	for _, r := range readers {
		slices.SortStableFunc(r, func(a, b *constraint) int { return cmp.Compare(a.call, b.call) })
	}
	var chains []*chain
	for _, f := range starts {
		c := &chain{first: math.MaxInt64, last: math.MinInt64}
		v := absent
		if f != nil {
			v = f.wrote
			c.add(f)
		}
		for c.add(readers[v]...); next[v] != nil && len(c.constraints) < len(constraints); c.add(readers[v]...) {
			c.add(next[v])
			v = next[v].wrote
		}
		if f == nil {
			c.first = math.MinInt64 // absent before all
		}
		if len(c.constraints) > 0 {
			chains = append(chains, c)
		}
	}
	return chains
}

func (c *chain) add(constraints ...*constraint) {
	for _, f := range constraints {
		c.constraints = append(c.constraints, f)
		c.first, c.last = min(c.first, f.ret), max(c.last, f.call)
	}
}

// replay reports whether these are n operations that can happen in this order: everyone
// finds what it saw, at an instant within its interval that is not before the last one.
func replay(order []*constraint, n int) bool {
	done := make(map[*constraint]bool, n)
	state, now := absent, int64(math.MinInt64)
	for _, f := range order {
		now = max(now, f.call)
		if done[f] || now > f.ret || f.contradictory || f.maybe {
			return false
		}
		if !f.finds(state) {
			return false
		}
		if f.writes {
			state = f.wrote
		}
		done[f] = true
	}
	return len(done) == n
}

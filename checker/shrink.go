package checker

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	shrinkPairs = 300                    // contradictions to compare, to find the shortest
	shrinkStep  = 300 * time.Millisecond // for one question on the way; no answer counts as "cannot be left out"
)

// shrink finds a small part of an illegal history that is illegal by itself. Only parts
// that follow from the whole are tried: projections on some of the values, and within
// them leaving out what single operations saw. From the result nothing can be left out
// any more, unless ctx ended before.
func shrink(ctx context.Context, facts []fact, unique bool, memory *memory) []fact {
	s := &shrinker{ctx: ctx, unique: unique, memory: memory}
	if unique {
		if best := s.shortest(facts); best != nil {
			return best
		}
	}
	if told := project(facts, func(value) bool { return true }); len(told) < len(facts) && s.illegal(told) {
		facts = told
	}
	for size := -1; ctx.Err() == nil && size != len(facts); {
		size = len(facts)
		facts = s.dropValues(facts)
		facts = s.dropSights(facts)
	}
	return facts
}

type shrinker struct {
	ctx    context.Context
	unique bool
	memory *memory
}

func (s *shrinker) illegal(facts []fact) bool {
	ctx, cancel := context.WithTimeout(s.ctx, shrinkStep)
	defer cancel()
	a, _ := decide(ctx, facts, s.unique, s.memory)
	return a == illegal
}

// shortest is the shortest contradiction within one value or between two, nil if there
// is none. Of several it takes the first that came to light.
func (s *shrinker) shortest(facts []fact) []fact {
	var best []fact
	tried := 0
	conflicts(blocks(facts), func(chosen []*fact, of ...*block) bool {
		small := gather(facts, chosen, of...)
		if !s.illegal(small) {
			return true // the search has the last word
		}
		small = s.dropSights(small)
		if best == nil || cmp.Or(cmp.Compare(len(small), len(best)), cmp.Compare(end(small), end(best))) < 0 {
			best = small
		}
		tried++
		return tried < shrinkPairs && s.ctx.Err() == nil
	})
	return best
}

// end is when the last operation was asked for.
func end(facts []fact) int64 {
	latest := int64(0)
	for i := range facts {
		latest = max(latest, facts[i].call)
	}
	return latest
}

// dropValues takes values away as long as the rest stays illegal: first halves of them,
// then quarters, and so on to single ones.
func (s *shrinker) dropValues(facts []fact) []fact {
	values := droppable(facts)
	for chunk := (len(values) + 1) / 2; chunk > 0; chunk /= 2 {
		for at := 0; at < len(values) && s.ctx.Err() == nil; {
			away := values[at:min(at+chunk, len(values))]
			small := strike(facts, func(v value) bool { return !slices.Contains(away, v) })
			if !s.illegal(small) {
				at += chunk
				continue
			}
			facts = small
			values = slices.Delete(values, at, at+len(away))
		}
	}
	return facts
}

// droppable lists the values that may be struck out: all that no failed compare can have
// found and hidden, because they were first asked for after its answer.
func droppable(facts []fact) []value {
	hiddenUntil := int64(-1)
	for i := range facts {
		if facts[i].sight == sawIsNot {
			hiddenUntil = max(hiddenUntil, facts[i].ret)
		}
	}
	early := map[value]bool{}
	for i := range facts {
		f := &facts[i]
		if f.writes && f.call <= hiddenUntil {
			early[f.wrote] = true
		}
	}
	return slices.DeleteFunc(valuesOf(facts), func(v value) bool { return early[v] })
}

// dropSights takes away what single operations saw, as long as the rest stays illegal.
func (s *shrinker) dropSights(facts []fact) []fact {
	for i := 0; i < len(facts) && s.ctx.Err() == nil; {
		f := facts[i]
		if f.sight == sawNothing {
			i++
			continue
		}
		f.sight = sawNothing
		small := slices.Clone(facts)
		if small[i] = f; f.empty() {
			small = slices.Delete(small, i, i+1)
		}
		if s.illegal(small) {
			facts = small
			if !f.empty() {
				i++
			}
			continue
		}
		i++
	}
	return facts
}

// valuesOf lists the values that the facts speak of, without "absent", in their order.
func valuesOf(facts []fact) []value {
	var values []value
	seen := map[value]bool{absent: true}
	add := func(v value) {
		if !seen[v] {
			seen[v], values = true, append(values, v)
		}
	}
	for i := range facts {
		if facts[i].sight == sawIs {
			add(facts[i].saw)
		}
		if facts[i].writes {
			add(facts[i].wrote)
		}
	}
	return values
}

package checker

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"

	"faultline/workloads/history"
)

const (
	shrinkPairs = 300                    // contradictions to compare, to find the shortest
	shrinkStep  = 300 * time.Millisecond // for one question on the way; no answer counts as "cannot be left out"
)

// shrink finds a small part of an illegal history that is illegal by itself. Only parts
// that follow from the whole are tried: its beginning, projections on some of the values, and within
// them leaving out what single operations saw. From the result nothing can be left out
// any more, unless ctx ended before.
func shrink(ctx context.Context, constraints []constraint, memory *memory) []constraint {
	s := &shrinker{ctx: ctx, memory: memory}
	if best := s.shortest(constraints); best != nil {
		return best
	}
	if !uniqueWrites(constraints) {
		constraints = s.cut(constraints)
	}
	if open := project(constraints, func(value) bool { return true }); len(open) < len(constraints) && s.illegal(open) {
		constraints = open
	}
	for size := -1; ctx.Err() == nil && size != len(constraints); {
		size = len(constraints)
		constraints = s.dropValues(constraints)
		constraints = s.dropReads(constraints)
	}
	return constraints
}

type shrinker struct {
	ctx    context.Context
	memory *memory
}

func (s *shrinker) illegal(constraints []constraint) bool {
	ctx, cancel := context.WithTimeout(s.ctx, shrinkStep)
	defer cancel()
	a, _ := decide(ctx, constraints, s.memory)
	return a == illegal
}

// cut leaves the shortest beginning that is illegal: whatever comes after it mends nothing.
func (s *shrinker) cut(constraints []constraint) []constraint {
	var ends []int64
	for i := range constraints {
		ends = append(ends, constraints[i].ret)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	first := sort.Search(len(ends), func(i int) bool {
		return s.ctx.Err() != nil || s.illegal(until(constraints, ends[i]))
	})
	if first == len(ends) || s.ctx.Err() != nil {
		return constraints
	}
	return until(constraints, ends[first])
}

// until is what is known of the constraints at a time.
func until(constraints []constraint, now int64) []constraint {
	var out []constraint
	for _, f := range constraints {
		if f.call > now {
			continue
		}
		if f.ret > now {
			if !f.writes {
				continue
			}
			f.maybe, f.ret = true, history.Pending
		}
		out = append(out, f)
	}
	return out
}

// shortest is the shortest contradiction within one value or between two, nil if there
// is none. Of several it takes the first that came to light.
func (s *shrinker) shortest(constraints []constraint) []constraint {
	var best []constraint
	tried := 0
	conflicts(s.ctx, blocks(constraints), func(chosen []*constraint, of ...*block) bool {
		small := projectOn(constraints, chosen, of...)
		if !s.illegal(small) {
			return true // the search has the last word
		}
		small = s.dropReads(small)
		if best == nil || cmp.Or(cmp.Compare(len(small), len(best)), cmp.Compare(end(small), end(best))) < 0 {
			best = small
		}
		tried++
		return tried < shrinkPairs && s.ctx.Err() == nil
	})
	return best
}

// end is when the last operation was asked for.
func end(constraints []constraint) int64 {
	latest := int64(0)
	for i := range constraints {
		latest = max(latest, constraints[i].call)
	}
	return latest
}

// dropValues takes values away as long as the rest stays illegal: first halves of them,
// then quarters, and so on to single ones.
func (s *shrinker) dropValues(constraints []constraint) []constraint {
	values := droppable(constraints)
	for chunk := (len(values) + 1) / 2; chunk > 0; chunk /= 2 {
		for at := 0; at < len(values) && s.ctx.Err() == nil; {
			away := values[at:min(at+chunk, len(values))]
			small := strike(constraints, func(v value) bool { return !slices.Contains(away, v) })
			if !s.illegal(small) {
				at += chunk
				continue
			}
			constraints = small
			values = slices.Delete(values, at, at+len(away))
		}
	}
	return constraints
}

// droppable lists the values that may be struck out: all that no failed compare can have
// found and hidden, because they were first asked for after its answer.
func droppable(constraints []constraint) []value {
	hiddenUntil := int64(-1)
	for i := range constraints {
		if constraints[i].read == readIsNot {
			hiddenUntil = max(hiddenUntil, constraints[i].ret)
		}
	}
	early := map[value]bool{}
	for i := range constraints {
		f := &constraints[i]
		if f.writes && f.call <= hiddenUntil {
			early[f.wrote] = true
		}
	}
	return slices.DeleteFunc(valuesOf(constraints), func(v value) bool { return early[v] })
}

// dropReads takes away what single operations saw, as long as the rest stays illegal.
func (s *shrinker) dropReads(constraints []constraint) []constraint {
	for i := 0; i < len(constraints) && s.ctx.Err() == nil; {
		f := constraints[i]
		if f.read == readNothing {
			i++
			continue
		}
		f.read = readNothing
		small := slices.Clone(constraints)
		if small[i] = f; f.empty() {
			small = slices.Delete(small, i, i+1)
		}
		if s.illegal(small) {
			constraints = small
			if !f.empty() {
				i++
			}
			continue
		}
		i++
	}
	return constraints
}

// valuesOf lists the values that the constraints speak of, without "absent", in their order.
func valuesOf(constraints []constraint) []value {
	var values []value
	seen := map[value]bool{absent: true}
	add := func(v value) {
		if !seen[v] {
			seen[v], values = true, append(values, v)
		}
	}
	for i := range constraints {
		if constraints[i].read == readIs {
			add(constraints[i].saw)
		}
		if constraints[i].writes {
			add(constraints[i].wrote)
		}
	}
	return values
}

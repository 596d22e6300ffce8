package nemesis

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// change is what falls due at one moment: the numbers of the steps that end and of those
// that begin. They become one Set of the cluster.
type change struct {
	at     time.Duration
	heals  []int
	starts []int
}

// timeline is the changes of a schedule, in time.
func timeline(s Schedule) []change {
	at := map[time.Duration]*change{}
	due := func(d time.Duration) *change {
		if at[d] == nil {
			at[d] = &change{at: d}
		}
		return at[d]
	}
	for i, step := range s.Steps {
		c := due(step.At)
		c.starts = append(c.starts, i)
		if lasts := step.lasts(); lasts > 0 {
			c := due(step.At + lasts)
			c.heals = append(c.heals, i)
		}
	}
	var changes []change
	for _, c := range at {
		changes = append(changes, *c)
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return changes
}

// sum is the conditions that steps make together, from the baseline on. Their order does
// not matter.
func sum(t topologies.Topology, steps []Step) faults.Conditions {
	c := t.Baseline()
	for _, s := range steps {
		if b, ok := s.Fault.(baseliner); ok {
			b.ApplyBaseline(&c, s.scope(t), s)
		}
	}
	for _, s := range steps {
		if state, ok := s.Fault.(State); ok {
			state.Apply(&c, s.scope(t), s)
		}
	}
	return c
}

func sortedKeys[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }

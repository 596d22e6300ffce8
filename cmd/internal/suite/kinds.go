package suite

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"faultline/checker"
	"faultline/nemesis"
)

// Kind is a kind of step: what a Tally counts by.
type Kind struct {
	Family string // of faults
	Role   string // the word that it was aimed at, or "named"
	Timing string // alone, or overlapping another step
}

// kinds lists the kinds of the steps of a schedule that began before an end, each once.
func kinds(steps []nemesis.Step, before time.Duration) (all []Kind) {
	for i, s := range steps {
		if s.At >= before {
			continue
		}
		k := Kind{Family: s.Fault.Kind().Family, Role: cmp.Or(s.Target.Word, nemesis.Primary), Timing: "alone"}
		if len(s.Target.Names) > 0 {
			k.Role = "named"
		}
		for j, other := range steps {
			if j != i && s.At < other.At+other.For && other.At < s.At+s.For {
				k.Timing = "overlapping"
			}
		}
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// Tally is what became of the runs of a hunt.
type Tally struct {
	All     nemesis.Count
	Unknown int
	ByKind  map[Kind]*nemesis.Count
	Times   map[Kind][]time.Duration // from the start of a run to the violation that it found
	ToFirst time.Duration            // from the start of the hunt to its first violation; 0: none
	First   string                   // run directory of that
}

// Kinds lists those that were met, the most telling first: by the lower end of their interval.
func (t Tally) Kinds() []Kind {
	low := func(k Kind) float64 { l, _ := checker.Wilson(t.ByKind[k].Found, t.ByKind[k].Runs); return l }
	return slices.SortedFunc(maps.Keys(t.ByKind), func(a, b Kind) int {
		return cmp.Or(cmp.Compare(low(b), low(a)), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
}

// Effect is what a family does to how often runs find something: "triggers" if those with it find more, and
// their interval does not overlap that of those without it; "suppresses" if less; else "".
func Effect(c nemesis.Contrast) string {
	low, high := checker.Wilson(c.With.Found, c.With.Runs)
	lowWithout, highWithout := checker.Wilson(c.Without.Found, c.Without.Runs)
	switch {
	case low > highWithout:
		return "triggers"
	case high < lowWithout:
		return "suppresses"
	}
	return ""
}

// Median is the middle of some times, the earlier of two; 0 of none.
func Median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(times))[(len(times)-1)/2]
}

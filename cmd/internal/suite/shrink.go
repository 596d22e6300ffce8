package suite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"faultline"
	"faultline/nemesis"
)

// Shrinking is a search for the smallest scenario that still shows a violation.
type Shrinking struct {
	// Play plays a scenario once, and reports whether the violation showed.
	Play func(context.Context, faultline.Scenario) (bool, error)
	// Valid reports whether a scenario can be played at all; what cannot is passed over.
	Valid func(context.Context, faultline.Scenario) error
	Tries int // how often a smaller scenario is played before it counts as one that does not show it
	// Say is told each scenario that is smaller and shows it, and how large it is; may be nil.
	Say func(text string)

	plays int
}

// Plays is how many runs it took.
func (s *Shrinking) Plays() int { return s.plays }

const (
	leastFor      = 500 * time.Millisecond
	leastClients  = 2
	leastRate     = 25
	afterLastStep = 3 * time.Second // of the time limit
)

// Shrink makes a scenario with steps smaller as long as it shows the violation: fewer steps (delta
// debugging: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28, 2002),
// then fewer targets a step, shorter steps, a shorter run, fewer clients and operations. When ctx ends it returns the
// smallest so far, without an error.
func (s *Shrinking) Shrink(ctx context.Context, of faultline.Scenario) (faultline.Scenario, error) {
	small := of
	for _, smaller := range []func(context.Context, faultline.Scenario) (faultline.Scenario, error){
		s.steps, s.targets, s.times, s.length, s.load,
	} {
		var err error
		if small, err = smaller(ctx, small); err != nil {
			if ctx.Err() != nil {
				return small, nil
			}
			return small, err
		}
	}
	return small, nil
}

// shows reports whether a scenario shows the violation in any of the tries.
func (s *Shrinking) shows(ctx context.Context, candidate faultline.Scenario) (bool, error) {
	if s.Valid(ctx, candidate) != nil {
		return false, ctx.Err()
	}
	for range max(1, s.Tries) {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		s.plays++
		found, err := s.Play(ctx, candidate)
		if err != nil {
			return false, err
		}
		if found {
			if s.Say != nil {
				s.Say(fmt.Sprintf("shows it with %d steps of %v in all, within %v, %d clients, %v operations a second (run %d)",
					len(candidate.Steps), total(candidate.Steps), candidate.TimeLimit, candidate.Concurrency, candidate.Rate, s.plays))
			}
			return true, nil
		}
	}
	return false, nil
}

func total(steps nemesis.Steps) (all time.Duration) {
	for _, s := range steps {
		all += s.For
	}
	return all
}

// steps removes halves of the steps, then quarters, and so on to single ones, until no single one can go.
func (s *Shrinking) steps(ctx context.Context, small faultline.Scenario) (faultline.Scenario, error) {
	for chunk := max(1, len(small.Steps)/2); ; {
		removed := false
		for at := 0; at < len(small.Steps); {
			candidate := small
			candidate.Steps = slices.Delete(slices.Clone(small.Steps), at, min(at+chunk, len(small.Steps)))
			found, err := s.shows(ctx, candidate)
			if err != nil {
				return small, err
			}
			if found {
				small, removed = candidate, true
			} else {
				at += chunk
			}
		}
		if chunk == 1 && !removed {
			return small, nil
		}
		chunk = max(1, chunk/2)
	}
}

// edit tries a change of each step.
func (s *Shrinking) edit(ctx context.Context, small faultline.Scenario, change func(nemesis.Step) (nemesis.Step, bool)) (faultline.Scenario, error) {
	for i := 0; i < len(small.Steps); {
		step, ok := change(small.Steps[i])
		if !ok {
			i++
			continue
		}
		candidate := small
		candidate.Steps = slices.Clone(small.Steps)
		candidate.Steps[i] = step
		found, err := s.shows(ctx, candidate)
		if err != nil {
			return small, err
		}
		if found {
			small = candidate
		} else {
			i++
		}
	}
	return small, nil
}

// targets takes one name after the other away from each step.
func (s *Shrinking) targets(ctx context.Context, small faultline.Scenario) (faultline.Scenario, error) {
	for name := 0; ; name++ {
		most := 0
		for _, step := range small.Steps {
			most = max(most, len(step.Target.Names))
		}
		if name >= most {
			return small, nil
		}
		var err error
		small, err = s.edit(ctx, small, func(step nemesis.Step) (nemesis.Step, bool) {
			if len(step.Target.Names) < 2 || name >= len(step.Target.Names) {
				return step, false
			}
			step.Target = nemesis.Names(slices.Delete(slices.Clone(step.Target.Names), name, name+1)...)
			return step, true
		})
		if err != nil {
			return small, err
		}
	}
}

// times halves how long steps last.
func (s *Shrinking) times(ctx context.Context, small faultline.Scenario) (faultline.Scenario, error) {
	return s.edit(ctx, small, func(step nemesis.Step) (nemesis.Step, bool) {
		half := (step.For / 2).Round(100 * time.Millisecond)
		if step.For == 0 || half < leastFor {
			return step, false
		}
		step.For = half
		return step, true
	})
}

// length moves the steps to the beginning and ends the run soon after the last.
func (s *Shrinking) length(ctx context.Context, small faultline.Scenario) (faultline.Scenario, error) {
	candidate := small
	candidate.Steps = slices.Clone(small.Steps)
	if len(candidate.Steps) > 0 {
		first := candidate.Steps[0].At
		for _, step := range candidate.Steps {
			first = min(first, step.At)
		}
		for i := range candidate.Steps {
			candidate.Steps[i].At -= first - min(first, time.Second)
		}
	}
	end := (nemesis.Schedule{Steps: candidate.Steps}).End() + afterLastStep
	if end >= small.TimeLimit {
		return small, nil
	}
	candidate.TimeLimit = end.Round(time.Second)
	found, err := s.shows(ctx, candidate)
	if err != nil || !found {
		return small, err
	}
	return candidate, nil
}

// load halves the clients, then the operations a second.
func (s *Shrinking) load(ctx context.Context, small faultline.Scenario) (faultline.Scenario, error) {
	for _, change := range []func(*faultline.Scenario) bool{
		func(c *faultline.Scenario) bool { c.Concurrency /= 2; return c.Concurrency >= leastClients },
		func(c *faultline.Scenario) bool {
			c.Rate /= 2
			return c.Rate >= leastRate && c.Rate*c.TimeLimit.Seconds() >= 2*float64(c.MinOps) // or the run without the bug would prove nothing
		},
	} {
		for candidate := small; change(&candidate); candidate = small {
			found, err := s.shows(ctx, candidate)
			if err != nil {
				return small, err
			}
			if !found {
				break
			}
			small = candidate
		}
	}
	return small, nil
}

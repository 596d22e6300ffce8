package suite

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"faultline"
	"faultline/checker"
)

// Violation is the class of what a run found: the checkers that called it invalid, sorted.
type Violation []string

// ViolationOf is what an outcome found; nothing if it is not invalid.
func ViolationOf(o faultline.Outcome) (v Violation) {
	for _, r := range o.Results {
		if r.Verdict == checker.Invalid {
			v = append(v, r.Checker)
		}
	}
	slices.Sort(v)
	return v
}

// Same reports whether an outcome found a violation of the class: any of its checkers called it invalid.
func (v Violation) Same(o faultline.Outcome) bool {
	return slices.ContainsFunc(ViolationOf(o), func(name string) bool { return slices.Contains(v, name) })
}

// SeenEarly reports whether a run can be found invalid for the violation while it lasts.
func (v Violation) SeenEarly() bool {
	registry := faultline.Default()
	checkers := registry.Checkers
	for _, w := range registry.Workloads {
		checkers = append(checkers, w.Checkers...)
	}
	return slices.ContainsFunc(checkers, func(c checker.Checker) bool { return c.Prefix && slices.Contains(v, c.Name) })
}

// Resolved is the scenario of a judged run as it was played: its steps in place of what drew them,
// aimed at the nodes that they hit.
func Resolved(o faultline.Outcome) (faultline.Scenario, error) {
	s, err := keptScenario(o)
	if err != nil {
		return s, err
	}
	s.Doc = ""
	return s, nil
}

// Repetition is what became of the same scenario, played again and again.
type Repetition struct {
	Violation Violation
	Outcomes  []faultline.Outcome // in the order in which they were begun
}

// Count is how many of the outcomes are what.
func (r Repetition) Count(is func(faultline.Outcome) bool) (n int) {
	for _, o := range r.Outcomes {
		if is(o) {
			n++
		}
	}
	return n
}

// Same is how many found the violation.
func (r Repetition) Same() int { return r.Count(r.Violation.Same) }

// String says how surely the violation comes back.
func (r Repetition) String() string {
	n, same := len(r.Outcomes), r.Same()
	low, high := checker.Wilson(same, n)
	of := func(v checker.Verdict) int { return r.Count(func(o faultline.Outcome) bool { return o.Verdict == v }) }
	text := fmt.Sprintf("%v came back in %d of %d runs: %.0f %%, by 95 %% between %.0f and %.0f %%", r.Violation, same, n, 100*float64(same)/float64(max(1, n)), 100*low, 100*high)
	return text + fmt.Sprintf("; %d invalid otherwise, %d valid, %d unknown", of(checker.Invalid)-same, of(checker.Valid), of(checker.Unknown))
}

// Repeat plays a scenario n times, as it stands: with its seed, so that clients do the same as far as
// answers let them. done is called with one outcome at a time.
func Repeat(ctx context.Context, s faultline.Scenario, v Violation, n int, o Options, done func(faultline.Outcome)) (Repetition, error) {
	r := Repetition{Violation: v}
	if err := faultline.Check(ctx, []faultline.Scenario{s}, o.Run); err != nil {
		return r, err
	}
	var mu sync.Mutex
	outcomes := make([]*faultline.Outcome, n)
	o.Run.UntilInvalid = v.SeenEarly()
	err := forEach(ctx, o.Jobs, n, func(i int) error {
		outcome, err := faultline.Run(ctx, s, o.of(s))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		outcomes[i] = &outcome
		done(outcome)
		return nil
	})
	for _, outcome := range outcomes {
		if outcome != nil {
			r.Outcomes = append(r.Outcomes, *outcome)
		}
	}
	return r, err
}

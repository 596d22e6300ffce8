package suite

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"faultline"
	"faultline/checker"
)

// Proof is what became of one scenario with planted defects: the harness must find
// them, and must be silent without them.
type Proof struct {
	Scenario faultline.Scenario
	With     []faultline.Outcome // runs with the defect, until one was invalid
	Without  faultline.Outcome
}

// Caught reports whether a run with the defect was invalid.
func (p Proof) Caught() bool {
	n := len(p.With)
	return n > 0 && p.With[n-1].Verdict == checker.Invalid
}

// Silent reports whether the run without the defect was valid.
func (p Proof) Silent() bool { return p.Without.Verdict == checker.Valid }

// String is the proof in a line.
func (p Proof) String() string {
	with, without := "missed", "valid without it"
	if p.Caught() {
		with = fmt.Sprintf("caught in run %d", len(p.With))
	}
	if !p.Silent() {
		without = fmt.Sprintf("%s without it", p.Without.Verdict)
	}
	return fmt.Sprintf("%-28s %s, %s (from seed %d)", strings.Join(p.Scenario.Defects, ","), with, without, p.Scenario.Seed)
}

// Prove runs every scenario of a suite with its defects, at most attempts times with
// seeds that follow each other until the verdict is invalid, and once without. done is
// called with one proof at a time.
func Prove(ctx context.Context, scenarios []faultline.Scenario, attempts int, o Options, done func(Proof)) ([]Proof, error) {
	for _, s := range scenarios {
		if len(s.Defects) == 0 {
			err := fmt.Errorf("scenario %s plants no defect, so it can prove nothing; give it defects", s.Name)
			if s.File() != "" {
				err = fmt.Errorf("%s: %w", s.File(), err)
			}
			return nil, &faultline.UsageError{Err: err}
		}
	}
	scenarios = drawn(scenarios)
	if err := faultline.Check(ctx, scenarios, o.Run); err != nil {
		return nil, err
	}
	var showing sync.Mutex
	proofs := make([]Proof, len(scenarios))
	err := forEach(ctx, o.Jobs, len(scenarios), func(i int) error {
		p, err := prove(ctx, scenarios[i], attempts, o.of(scenarios[i]))
		if err != nil {
			return fmt.Errorf("scenario %s: %w", scenarios[i].Name, err)
		}
		showing.Lock()
		defer showing.Unlock()
		proofs[i] = p
		done(p)
		return nil
	})
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("%w before all was proved", faultline.ErrInterrupted)
	}
	if err != nil {
		return nil, err
	}
	return proofs, nil
}

func prove(ctx context.Context, s faultline.Scenario, attempts int, o faultline.Options) (Proof, error) {
	p := Proof{Scenario: s}
	planted := o
	planted.UntilInvalid = true // what follows proves nothing more
	for range attempts {
		outcome, err := runWhole(ctx, s, planted)
		if err != nil {
			return p, err
		}
		p.With = append(p.With, outcome)
		if p.Caught() {
			break
		}
		s.Seed++
	}
	clean := p.Scenario
	clean.Defects = nil
	clean.Name += "-without"
	for range cleanTries {
		outcome, err := runWhole(ctx, clean, o)
		p.Without = outcome
		if err != nil || outcome.Verdict != checker.Unknown {
			return p, err
		}
		clean.Seed++
	}
	return p, nil
}

// cleanTries is how often the run without defects is tried that is unknown: on a busy machine a fault may not be
// seen in force. One that is invalid is a false alarm, and is not tried again.
const cleanTries = 3

// runWhole is Run, except that a run which was interrupted proves nothing.
func runWhole(ctx context.Context, s faultline.Scenario, o faultline.Options) (faultline.Outcome, error) {
	outcome, err := faultline.Run(ctx, s, o)
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("%w before it was proved", faultline.ErrInterrupted)
	}
	return outcome, err
}

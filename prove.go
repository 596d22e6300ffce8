package faultline

import (
	"context"
	"fmt"
	"strings"

	"faultline/checker"
)

// Proof is what became of one scenario with planted defects: the harness must find
// them, and must be silent without them.
type Proof struct {
	Scenario Scenario
	With     []Outcome // runs with the defect, until one was invalid
	Without  Outcome
}

// Caught tells whether a run with the defect was invalid.
func (p Proof) Caught() bool {
	n := len(p.With)
	return n > 0 && p.With[n-1].Verdict == checker.Invalid
}

// Silent tells whether the run without the defect was valid.
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
	return fmt.Sprintf("%-28s %s, %s", strings.Join(p.Scenario.Defects, ","), with, without)
}

// Prove runs every scenario of a suite with its defects, at most attempts times with
// seeds that follow each other until the verdict is invalid, and once without.
func Prove(ctx context.Context, scenarios []Scenario, attempts int, o Options, done func(Proof)) ([]Proof, error) {
	var proofs []Proof
	for _, s := range scenarios {
		if len(s.Defects) == 0 {
			return nil, usagef("scenario %s plants no defect, so it can prove nothing", s.Name)
		}
	}
	for _, s := range scenarios {
		p, err := prove(ctx, s, attempts, o)
		if err != nil {
			return proofs, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		proofs = append(proofs, p)
		done(p)
	}
	return proofs, nil
}

func prove(ctx context.Context, s Scenario, attempts int, o Options) (Proof, error) {
	p := Proof{Scenario: s}
	for range attempts {
		outcome, err := Run(ctx, s, o)
		if err == nil {
			err = ctx.Err()
		}
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
	outcome, err := Run(ctx, clean, o)
	if err == nil {
		err = ctx.Err()
	}
	p.Without = outcome
	return p, err
}

package faultline

import (
	"context"
	"errors"
	"slices"
	"time"

	"faultline/checker"
	"faultline/workloads/history"
)

// errFound is the cause by which a run ends that is to end with its first violation.
var errFound = errors.New("a violation was seen")

const (
	lookEvery  = time.Second
	lookShare  = 10 // of the time at most one part is spent on looking
	lookBudget = 10 * time.Second
)

// untilInvalid is a context that ends, by errFound, once what the run has written down so far is
// invalid. It reads the run directory, as a person would who calls analyze again and again.
func (p *plan) untilInvalid(ctx context.Context, dir string) (found context.Context, done func()) {
	found, stop := context.WithCancelCause(ctx)
	watching, end := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for wait := lookEvery; ; {
			sleep(watching, wait)
			if watching.Err() != nil {
				return
			}
			began := time.Now()
			if p.invalidSoFar(watching, dir) {
				stop(errFound)
				return
			}
			wait = max(lookEvery, lookShare*time.Since(began))
		}
	}()
	return found, func() { end(); <-over; stop(nil) }
}

// invalidSoFar judges the beginning of a history by the checkers for which that is enough. A history that cannot be
// read now is read again when the run is over, which says why.
func (p *plan) invalidSoFar(ctx context.Context, dir string) bool {
	events, _, err := readHistory(dir)
	if err != nil {
		return false
	}
	run := &checker.Run{Settings: p.settings(), Topology: p.topology, Events: events}
	if run.Ops, err = history.Operations(events); err != nil {
		return false
	}
	if run.Faults, run.Baseline, err = history.Faults(events); err != nil {
		return false
	}
	run.Settings.CheckTime = min(run.Settings.CheckTime, lookBudget)
	checkers := slices.DeleteFunc(slices.Concat(p.workload.Checkers, p.registry.Checkers), func(c checker.Checker) bool { return !c.Prefix })
	if len(checkers) == 0 {
		return false
	}
	verdict, _ := checker.Judge(ctx, run, checkers)
	return verdict == checker.Invalid
}

// Package faultline runs chaos scenarios against clusters and judges them.
//
// A Scenario says what to start, what clients do and what is broken meanwhile. Run
// plays it and leaves a run directory; Analyze judges a run directory, and is a pure
// function of it, so it gives the same result years later.
//
//	scenario, err := faultline.LoadScenario("ci/smoke/partitions.yaml")
//	outcome, err := faultline.Run(ctx, scenario, faultline.Options{Store: "store"})
//	if outcome.Verdict != checker.Valid { … }
//
// To test a system of your own, implement nodes.System and set Options.System; every
// fault, workload, checker and report works on it. A runtime of your own is Options.Runtime.
// What of either panics, or never returns, ends the run with an error. This package is the only one that
// names every runtime, system, workload, fault and checker (registry.go).
package faultline

import (
	"errors"
	"fmt"
)

// UsageError is a mistake in what was asked: a flag, a file, a machine on which
// something is missing. Nothing was started, or all of it was removed again.
type UsageError struct{ Err error }

// ErrInterrupted says that the caller's context ended before there was anything to
// judge, or before it was judged. Nothing is left running.
var ErrInterrupted = errors.New("interrupted")

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

func usage(err error) error {
	if err == nil || errors.As(err, new(*UsageError)) {
		return err
	}
	return &UsageError{err}
}

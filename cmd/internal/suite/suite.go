// Package suite runs several scenarios, some at a time, as `faultline test` and `faultline
// prove` do: it checks all before it starts the first, keeps the schedules of those that were
// invalid, and reports on all of them together. A test in Go needs none of it, and calls
// faultline.Run in a table of scenarios.
package suite

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
)

// Options are what a suite needs beside its scenarios.
type Options struct {
	Run  faultline.Options // of each scenario
	Jobs int               // how many run at a time; 0 is 1
	Keep string            // a folder in which the schedules of runs that were invalid are kept; empty: none
}

// Result is the outcome of several scenarios, in their order.
type Result struct {
	Name     string
	Outcomes []faultline.Outcome
	Stopped  error // why the harness failed, or was interrupted, before there were more of Outcomes
}

// Verdict is the worst of the suite's.
func (r Result) Verdict() checker.Verdict {
	var all []checker.Verdict
	for _, o := range r.Outcomes {
		all = append(all, o.Verdict)
	}
	return checker.Worst(all...)
}

// Run runs scenarios, and writes junit.xml and summary.md of all of them into the store. It
// checks every scenario before it starts the first, goes on after one that is not valid, and
// stops at an interrupt or when the harness fails. done is called with one outcome at a time.
func Run(ctx context.Context, name string, scenarios []faultline.Scenario, o Options, done func(faultline.Outcome)) (Result, error) {
	result := Result{Name: name}
	scenarios = drawn(scenarios)
	if err := faultline.Check(ctx, scenarios, o.Run); err != nil {
		return result, err
	}
	var showing sync.Mutex
	outcomes := make([]*faultline.Outcome, len(scenarios))
	result.Stopped = forEach(ctx, o.Jobs, len(scenarios), func(i int) error {
		outcome, err := faultline.Run(ctx, scenarios[i], o.of(scenarios[i]))
		if err != nil {
			return err
		}
		showing.Lock()
		defer showing.Unlock()
		outcomes[i] = &outcome
		done(outcome)
		if o.Keep == "" {
			return nil
		}
		file, err := keep(o.Keep, scenarios[i], outcome)
		if err == nil && file != "" && o.Run.Progress != nil {
			o.Run.Progress.Say("kept as " + file + ", which runs with --keep play first")
		}
		return err
	})
	for _, outcome := range outcomes {
		if outcome != nil {
			result.Outcomes = append(result.Outcomes, *outcome)
		}
	}
	return result, errors.Join(result.Stopped, result.write(cmp.Or(o.Run.Store, "store")))
}

// drawn gives every scenario a seed, so that all are checked as they will be run.
func drawn(scenarios []faultline.Scenario) []faultline.Scenario {
	scenarios = slices.Clone(scenarios)
	for i := range scenarios {
		scenarios[i] = scenarios[i].Drawn()
	}
	return scenarios
}

func (r Result) write(store string) error {
	if len(r.Outcomes) == 0 {
		return nil
	}
	junit, err := report.JUnitSuite(r.Name, r.Data())
	if err != nil {
		return err
	}
	dir := filepath.Join(store, rundir.Suites, strings.ReplaceAll(r.Name, string(filepath.Separator), "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(rundir.Write(dir, rundir.JUnitFile, string(junit)), rundir.Write(dir, rundir.SummaryFile, report.MarkdownSuite(r.Name, r.Data())))
}

// Data is what the reports of the suite show.
func (r Result) Data() []report.Data {
	var all []report.Data
	for _, o := range r.Outcomes {
		all = append(all, o.Report)
	}
	return all
}

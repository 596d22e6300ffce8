package faultline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"faultline/checker"
	"faultline/checker/report"
)

// Suite is the outcome of several scenarios, in their order.
type Suite struct {
	Name     string
	Outcomes []Outcome
	Stopped  error // why the harness failed, or was interrupted, before there were more of Outcomes
}

// Verdict is the worst of the suite's.
func (s Suite) Verdict() checker.Verdict {
	var all []checker.Verdict
	for _, o := range s.Outcomes {
		all = append(all, o.Verdict)
	}
	return checker.Worst(all...)
}

// RunSuite runs scenarios, Options.Jobs at a time, and writes junit.xml and summary.md of all
// of them into the store. It checks every scenario before it starts the first, goes on
// after one that is not valid, and stops at an interrupt or when the harness fails.
func RunSuite(ctx context.Context, name string, scenarios []Scenario, o Options, done func(Outcome)) (Suite, error) {
	suite := Suite{Name: name}
	scenarios = drawn(scenarios)
	if err := checkSuite(ctx, scenarios, o); err != nil {
		return suite, err
	}
	var showing sync.Mutex
	outcomes := make([]*Outcome, len(scenarios))
	suite.Stopped = inLanes(ctx, o.Jobs, len(scenarios), func(i int) error {
		outcome, err := Run(ctx, scenarios[i], o.inLane(scenarios[i]))
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
		if err == nil && file != "" && o.Progress != nil {
			o.Progress.Say("kept as " + file + ", which runs with --keep play first")
		}
		return err
	})
	for _, outcome := range outcomes {
		if outcome != nil {
			suite.Outcomes = append(suite.Outcomes, *outcome)
		}
	}
	return suite, errors.Join(suite.Stopped, suite.write(o.store()))
}

func (s Suite) write(store string) error {
	if len(s.Outcomes) == 0 {
		return nil
	}
	junit, err := report.JUnitSuite(s.Name, s.Data())
	if err != nil {
		return err
	}
	dir := filepath.Join(store, dirSuites, strings.ReplaceAll(s.Name, string(filepath.Separator), "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(writeFile(dir, fileJUnit, string(junit)), writeFile(dir, fileSummary, report.MarkdownSuite(s.Name, s.Data())))
}

// Data is what the reports of the suite show.
func (s Suite) Data() []report.Data {
	var all []report.Data
	for _, o := range s.Outcomes {
		all = append(all, o.Report)
	}
	return all
}

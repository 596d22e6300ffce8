// Package faultlinetest plays scenarios in Go tests:
//
//	func TestLocksSurvivePartitions(t *testing.T) {
//		faultlinetest.Run(t, faultline.Scenario{
//			Workload: "lock", Nemesis: []string{"partition", "kill"}, TimeLimit: 20 * time.Second, Seed: 7,
//		})
//	}
//
// A test fails if its run is invalid, and says where the system broke its promise; it fails as well if the
// run is unknown, since that has tested nothing. It fails too on a machine that cannot play the scenario:
// skip it there by [Offered]. A run directory that a test fails on is kept in its [testing.T.ArtifactDir]:
// `go test -artifacts` keeps that.
//
// It is not for suites in files: that is `faultline test`.
package faultlinetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
)

// Run plays a scenario, by what this repository knows, and demands that it is valid.
func Run(t testing.TB, s faultline.Scenario) faultline.Outcome {
	t.Helper()
	return RunWith(t, faultline.Default(), s, faultline.Options{})
}

// RunWith is Run with a registry and options of the caller's own. Store is where run directories go if
// it is set, and all are kept then.
func RunWith(t testing.TB, r faultline.Registry, s faultline.Scenario, o faultline.Options) faultline.Outcome {
	t.Helper()
	outcome, err := play(t, r, s, o)
	if err != nil {
		t.Fatalf("the scenario was not played: %v", err)
	}
	if outcome.Verdict != checker.Valid {
		t.Fatalf("%s\nthe run directory is %s (go test -artifacts keeps it)", why(outcome), outcome.Dir)
	}
	return outcome
}

// Find plays a scenario and demands that it is invalid: that what is wrong with the system is found.
func Find(t testing.TB, s faultline.Scenario) faultline.Outcome {
	t.Helper()
	outcome, err := play(t, faultline.Default(), s, faultline.Options{})
	if err != nil {
		t.Fatalf("the scenario was not played: %v", err)
	}
	if outcome.Verdict != checker.Invalid {
		t.Fatalf("it was not found: %s\nthe run directory is %s (go test -artifacts keeps it)", why(outcome), outcome.Dir)
	}
	return outcome
}

// Offered skips a test on a machine that cannot play a scenario, and says what that lacks.
func Offered(t testing.TB, s faultline.Scenario) {
	t.Helper()
	var lacks *faultline.UsageError
	if err := faultline.Check(t.Context(), []faultline.Scenario{s}, faultline.Options{Store: t.TempDir()}); errors.As(err, &lacks) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func play(t testing.TB, r faultline.Registry, s faultline.Scenario, o faultline.Options) (faultline.Outcome, error) {
	t.Helper()
	kept := o.Store != ""
	if !kept {
		o.Store = filepath.Join(t.ArtifactDir(), "store")
	}
	if o.Progress == nil {
		o.Progress = progress{t}
	}
	if s.Name == "" {
		s.Name = name(t.Name())
	}
	outcome, err := r.Run(t.Context(), s, o)
	t.Cleanup(func() {
		if !kept && !t.Failed() {
			if err := os.RemoveAll(o.Store); err != nil {
				t.Error(err)
			}
		}
	})
	return outcome, err
}

// name is a scenario's name for a test: small letters, digits and dashes.
func name(test string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(test) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	const most = 60
	return strings.Trim(b.String()[:min(b.Len(), most)], "-")
}

// why is the report for a terminal, without colours.
func why(o faultline.Outcome) string { return report.Terminal(o.Report, false, 100) }

// progress tells a test's log how a run comes along.
type progress struct{ t testing.TB }

func (p progress) Say(text string)         { p.t.Log(text) }
func (p progress) Status(faultline.Status) {}

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/suite"
)

// decode reads the one document that a command has printed.
func decode[T any](t *testing.T, text string) (document T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&document), text)
	require.False(t, decoder.More(), "more than one document: %s", text)
	return document
}

func TestARunAsADocument(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	h := start(t, nil, "test", "--json", "--store", store, localScenario(t, "document", `
time-limit: 4s
steps:
  - {at: 0s, for: 1s, fault: pause, target: [dc1-s1]}
`))
	require.Equal(t, exitValid, h.exits(), h.said())
	require.Contains(t, h.said(), "document: valid, see "+store, "progress goes to the standard error")
	suite := decode[output.Suite](t, h.stdout.String())
	require.Equal(t, checker.Valid, suite.Verdict)
	require.Zero(t, suite.Missing)
	require.Len(t, suite.Runs, 1)
	require.Equal(t, onlyRun(t, store, "document"), suite.Runs[0].Directory)
	require.Greater(t, suite.Runs[0].LengthSeconds, 4.0)

	code, stdout := finish(t, "analyze", "--json", "--store", store)
	require.Equal(t, exitValid, code)
	again := decode[output.Run](t, stdout)
	for _, results := range [][]output.Result{suite.Runs[0].Results, again.Results} {
		for i := range results {
			results[i].Budget = nil // what was used of it is the machine's
		}
	}
	require.Equal(t, suite.Runs[0].Results, again.Results)
}

func TestAnInterruptedSuiteAsADocument(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(localScenario(t, "a", "time-limit: 60s\nnemesis: [pause]\nnemesis-interval: 1s\n"))
	text, err := os.ReadFile(filepath.Join(dir, "a.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.yaml"), text, 0o644))
	h := start(t, nil, "test", "--json", "--store", t.TempDir(), dir)
	h.await("cluster ready")
	h.await("fault: pause")
	h.signal(syscall.SIGTERM)
	require.Equal(t, exitUnknown, h.exits(), h.said())
	suite := decode[output.Suite](t, h.stdout.String())
	require.Equal(t, checker.Unknown, suite.Verdict)
	require.Len(t, suite.Runs, 1)
	require.Equal(t, 1, suite.Missing)
}

func TestASuiteThatStoppedSaysWhy(t *testing.T) {
	stopped := suite.Result{Name: "ci", Outcomes: []faultline.Outcome{{Verdict: checker.Valid}}}
	document := suiteDocument(stopped, 3, errors.New("the disk is full"))
	require.Equal(t, "the disk is full", document.Stopped)
	require.Equal(t, 2, document.Missing)
	require.Equal(t, checker.Unknown, document.Verdict, "what was not judged is not valid")
}

func TestProofsAreJudgedByTheWorstOfThem(t *testing.T) {
	of := func(with, without checker.Verdict) suite.Proof {
		return suite.Proof{Scenario: faultline.Scenario{Name: "s", Defects: []string{"d"}},
			With: []faultline.Outcome{{Verdict: with}}, Without: faultline.Outcome{Verdict: without}}
	}
	good, missed := of(checker.Invalid, checker.Valid), of(checker.Valid, checker.Valid)
	alarm, unclear := of(checker.Invalid, checker.Invalid), of(checker.Invalid, checker.Unknown)
	for _, c := range []struct {
		proofs         []suite.Proof
		verdict        checker.Verdict
		caught, alarms int
	}{
		{[]suite.Proof{good, good}, checker.Valid, 2, 0},
		{[]suite.Proof{good, missed}, checker.Invalid, 1, 0},
		{[]suite.Proof{good, alarm}, checker.Invalid, 2, 1},
		{[]suite.Proof{good, unclear}, checker.Unknown, 2, 0},
	} {
		document := proofsDocument(c.proofs)
		require.Equal(t, c.verdict, document.Verdict)
		require.Equal(t, c.caught, document.Caught)
		require.Equal(t, c.alarms, document.FalseAlarms)
		require.Len(t, document.Proofs, len(c.proofs))
	}
}

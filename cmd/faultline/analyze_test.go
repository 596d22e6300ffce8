package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
)

// storedRuns are real runs, made with low rates to be small. Beside what was recorded
// each holds the results.json that is expected.
var storedRuns = map[string]checker.Verdict{
	"valid":   checker.Valid,
	"invalid": checker.Invalid, // stale reads, judged as if they had been promised to be fresh
	"cut-off": checker.Unknown, // the harness was killed in the middle of a line
}

// copyRun copies a stored run without what was decided about it.
func copyRun(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "runs", name))))
	require.NoError(t, os.Remove(filepath.Join(dir, "results.json")))
	return dir
}

// analyze judges a run; the results are without the budget of the search.
func analyze(t *testing.T, dir string) (o faultline.Outcome, results []byte) {
	t.Helper()
	o, err := faultline.Analyze(t.Context(), dir)
	require.NoError(t, err)
	return o, resultsOf(t, dir)
}

// resultsOf reads the results of a judged run, all but the budget that the search was given and
// what it used of that: they are about the machine.
func resultsOf(t *testing.T, dir string) []byte {
	t.Helper()
	results, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	return budget.ReplaceAll(results, nil)
}

var budget = regexp.MustCompile(`,\n +"budget": \{[^}]*\}`)

func TestResultsSayWhatTheSearchWasGivenAndWhatItUsed(t *testing.T) {
	dir := copyRun(t, "valid")
	analyze(t, dir)
	results, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	require.Regexp(t, `"budget": \{\s+"wall_seconds": (60|59\.\d+),\s+"memory_mb": 2048,\s+"cores": \d+,\s+"used_wall_seconds": \d`, string(results))
}

func TestStoredRunsAreJudgedAlikeWheneverAndWherever(t *testing.T) {
	for name, want := range storedRuns {
		t.Run(name, func(t *testing.T) {
			dir := copyRun(t, name)
			outcome, first := analyze(t, dir)
			require.Equal(t, want, outcome.Verdict)
			for _, report := range []string{"report.html", "junit.xml", "summary.md"} {
				require.FileExists(t, filepath.Join(dir, report))
			}
			_, again := analyze(t, dir)
			require.Equal(t, string(first), string(again), "judged twice in one place")
			_, elsewhere := analyze(t, copyRun(t, name))
			require.Equal(t, string(first), string(elsewhere), "judged in another place")

			golden := filepath.Join("testdata", "runs", name, "results.json")
			if *update {
				require.NoError(t, os.WriteFile(golden, first, 0o644))
			}
			expected, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(expected), string(first), "if this is an improvement: go test ./cmd/faultline -update")
		})
	}
}

// A harness can be killed at any byte of its history. What is left can be read and
// judged, and is never called valid, because nobody knows what was to come.
func TestARunThatIsCutOffAnywhereIsJudgedAndNeverValid(t *testing.T) {
	for name, whole := range storedRuns {
		t.Run(name, func(t *testing.T) {
			dir := copyRun(t, name)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "resolved.yaml"))) // written when the faults are over
			path := filepath.Join(dir, "history.jsonl")
			history, err := os.ReadFile(path)
			require.NoError(t, err)
			const cuts = 25
			for i := range cuts {
				at := len(history) * i / cuts
				require.NoError(t, os.WriteFile(path, history[:at], 0o644))
				outcome, _ := analyze(t, dir)
				require.NotEqual(t, checker.Valid, outcome.Verdict, "cut off at byte %d", at)
				if whole != checker.Invalid {
					require.Equal(t, checker.Unknown, outcome.Verdict, "cut off at byte %d", at)
				}
				if at > 0 && history[at-1] != '\n' {
					require.Contains(t, outcome.Report.Notes, "the history's last line was cut off; it was left out")
				}
			}
			lines := bytes.SplitAfter(history, []byte("\n"))
			require.NoError(t, os.WriteFile(path, bytes.Join(lines[:len(lines)-2], nil), 0o644))
			outcome, _ := analyze(t, dir)
			require.NotEqual(t, checker.Valid, outcome.Verdict, "only the last line is missing")
		})
	}
}

func TestTheResultsOfAnInterruptedAnalysisStayAsTheyWere(t *testing.T) {
	dir := copyRun(t, "valid")
	analyze(t, dir)
	before, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = faultline.Analyze(ctx, dir)
	require.ErrorIs(t, err, faultline.ErrInterrupted)
	require.ErrorContains(t, err, "`faultline analyze "+dir+"` judges it")
	after, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

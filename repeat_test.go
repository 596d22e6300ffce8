package faultline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker/rundir"
)

// The command that a report names plays what was played, wherever the directory lies.
func TestARunSaysHowItIsPlayedAgain(t *testing.T) {
	home, err := os.Getwd()
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.CopyFS("store/a/1", os.DirFS(filepath.Join(home, "cmd/faultline/testdata/runs/invalid"))))
	require.NoError(t, os.CopyFS("elsewhere", os.DirFS("store/a/1")))
	for _, dir := range []string{"store/a/1", "elsewhere"} {
		outcome, err := Analyze(t.Context(), dir)
		require.NoError(t, err)
		require.Equal(t, "faultline test "+filepath.Join(dir, "scenario.yaml")+" --schedule "+filepath.Join(dir, "resolved.yaml"), outcome.Report.Command)
		for _, file := range []string{rundir.ReportFile, rundir.SummaryFile, rundir.JUnitFile} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			require.Contains(t, string(text), "faultline test scenario.yaml --schedule resolved.yaml", file)
			require.NotContains(t, string(text), dir+"/scenario.yaml", "the directory may go elsewhere")
		}
		s, err := LoadScenario(filepath.Join(dir, rundir.ScenarioFile))
		require.NoError(t, err)
		s.Nemesis, s.Steps, s.Schedule = nil, nil, filepath.Join(dir, rundir.ResolvedFile)
		schedule, err := MakeSchedule(s)
		require.NoError(t, err)
		require.NotEmpty(t, schedule.Steps)
	}
	require.Equal(t, "faultline test scenario.yaml", (&storedRun{}).repeat(""), "nothing was planned")
	require.Equal(t, "faultline test d/scenario.yaml --schedule d/schedule.yaml", (&storedRun{steps: 1}).repeat("d"), "it was killed before the steps were resolved")
	require.Equal(t, "/else/where", fromHere("/else/where"))
}

package suite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/topologies"
)

func TestEveryScenarioOfASuiteGetsASeed(t *testing.T) {
	given := []faultline.Scenario{{Seed: 3}, {}}
	all := drawn(given)
	require.EqualValues(t, 3, all[0].Seed)
	require.NotZero(t, all[1].Seed)
	require.Zero(t, given[1].Seed)
}

// aRun is a run directory as far as keep reads it.
func aRun(t *testing.T, s faultline.Scenario, resolved string) faultline.Outcome {
	t.Helper()
	topology, err := topologies.Load(s.Defaults().Topology)
	require.NoError(t, err)
	schedule, err := faultline.MakeSchedule(s)
	require.NoError(t, err)
	if filepath.IsAbs(s.Topology) {
		s.Topology = "./" + rundir.TopologyFile // as Run writes it
	}
	dir := t.TempDir()
	require.NoError(t, rundir.Write(dir, rundir.ScenarioFile, s.Defaults().String()))
	require.NoError(t, rundir.Write(dir, rundir.TopologyFile, topology.String()))
	require.NoError(t, rundir.Write(dir, rundir.ScheduleFile, schedule.String()))
	if resolved != "" {
		require.NoError(t, rundir.Write(dir, rundir.ResolvedFile, resolved))
	}
	return faultline.Outcome{Dir: dir, Verdict: checker.Invalid, Report: report.Data{TopologyText: topology.String()}}
}

func TestAFailingScheduleIsKeptAndPlaysByItself(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	none, err := Kept(kept)
	require.NoError(t, err)
	require.Empty(t, none)

	own := filepath.Join(t.TempDir(), "own.yaml")
	text, err := topologies.Load("dc1-5")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(own, []byte(text.String()), 0o644))
	s := faultline.Scenario{Name: "drawn", Topology: own, Nemesis: []string{"kill"}, Seed: 42}
	const resolved = "seed: 42\nsteps:\n  - {at: 3s, for: 4s, fault: kill, target: [dc1-s2]}\n"

	valid := aRun(t, s, resolved)
	valid.Verdict = checker.Unknown
	file, err := keep(kept, s, valid)
	require.NoError(t, err)
	require.Empty(t, file, "only what is invalid is kept")

	file, err = keep(kept, s, aRun(t, s, resolved))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(kept, "drawn-42.yaml"), file)
	again, err := Kept(kept)
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.EqualValues(t, 42, again[0].Seed)
	layout, err := topologies.Load(again[0].Topology)
	require.NoError(t, err)
	require.Equal(t, "dc1-5", layout.Name)
	schedule, err := faultline.MakeSchedule(again[0])
	require.NoError(t, err)
	require.Equal(t, resolved, schedule.String(), "the steps are those that were played")

	file, err = keep(kept, again[0], aRun(t, again[0], resolved))
	require.NoError(t, err)
	require.Empty(t, file, "a kept one is not kept again")
	_, err = keep(kept, s, aRun(t, faultline.Scenario{Name: "cut-off", Nemesis: []string{"kill"}, Seed: 9}, ""))
	require.NoError(t, err, "a run that has no resolved schedule")
	again, err = Kept(kept)
	require.NoError(t, err)
	require.Len(t, again, 2)
	require.NotEmpty(t, again[0].Steps)
}

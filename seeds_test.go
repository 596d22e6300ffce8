package faultline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/checker/report"
	"faultline/topologies"
)

func TestASeedIsDrawnOnlyWhereThereIsNone(t *testing.T) {
	require.EqualValues(t, 7, Scenario{Seed: 7}.Drawn().Seed)
	seen := map[uint64]bool{}
	for range 10 {
		s := Scenario{}.Drawn()
		require.NotZero(t, s.Seed)
		seen[s.Seed] = true
	}
	require.Greater(t, len(seen), 5, "CI tries something new each time")
	all := drawn([]Scenario{{Seed: 3}, {}})
	require.EqualValues(t, 3, all[0].Seed)
	require.NotZero(t, all[1].Seed)
}

// aRun is a run directory as far as keep reads it.
func aRun(t *testing.T, s Scenario, resolved string) Outcome {
	t.Helper()
	p, err := lookUp(s, Options{})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, writeFile(dir, fileScenario, p.stored().String()))
	require.NoError(t, writeFile(dir, fileTopology, p.topology.String()))
	require.NoError(t, writeFile(dir, fileSchedule, p.schedule.String()))
	if resolved != "" {
		require.NoError(t, writeFile(dir, fileResolved, resolved))
	}
	return Outcome{Dir: dir, Verdict: checker.Invalid, Report: report.Data{TopologyText: p.topology.String()}}
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
	s := Scenario{Name: "drawn", Topology: own, Nemesis: []string{"kill"}, Seed: 42}
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
	p, err := lookUp(again[0], Options{})
	require.NoError(t, err)
	require.Equal(t, "dc1-5", p.topology.Name)
	require.Equal(t, resolved, p.schedule.String(), "the steps are those that were played")

	file, err = keep(kept, again[0], aRun(t, again[0], resolved))
	require.NoError(t, err)
	require.Empty(t, file, "a kept one is not kept again")
	_, err = keep(kept, s, aRun(t, Scenario{Name: "cut-off", Nemesis: []string{"kill"}, Seed: 9}, ""))
	require.NoError(t, err, "a run that has no resolved schedule")
	again, err = Kept(kept)
	require.NoError(t, err)
	require.Len(t, again, 2)
	require.NotEmpty(t, again[0].Steps)
}

func TestSeveralDatacentersAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: two\ndatacenters:\n  - {name: dc1, servers: 3}\n  - {name: dc2, servers: 3}\n"), 0o644))
	_, err := lookUp(Scenario{Topology: file}, Options{})
	require.ErrorAs(t, err, new(*UsageError))
	require.ErrorContains(t, err, "topology two has 2 datacenters, and the checkers cannot judge more than one yet")
}

func TestAGivenSystemIsToldNothingByTheScenario(t *testing.T) {
	mine := Systems()[0].Make(Scenario{}.Defaults())
	for name, s := range map[string]Scenario{
		"defects":            {Defects: []string{"no-fsync"}},
		"raft-multiplier":    {RaftMultiplier: 5},
		"snapshot-threshold": {SnapshotThreshold: 100},
		"hops":               {Hops: true},
		"system":             {System: "other"},
	} {
		_, err := lookUp(s, Options{System: mine})
		require.ErrorAs(t, err, new(*UsageError), name)
		require.ErrorContains(t, err, name+" is not for a system that the program brings")
	}
	p, err := lookUp(Scenario{Nemesis: []string{"kill"}}, Options{System: mine})
	require.NoError(t, err)
	stored, err := ParseScenario("scenario.yaml", []byte(p.stored().String()))
	require.NoError(t, err)
	_, err = lookUp(stored, Options{})
	require.ErrorContains(t, err, `the system "agent" was brought by a Go program`, "it does not repeat as another")
}

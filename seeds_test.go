package faultline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
}

func TestSeveralDatacentersAreRefusedBySystemsOfOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: two\ndatacenters:\n  - {name: dc1, servers: 3}\n  - {name: dc2, servers: 3}\n"), 0o644))
	_, err := Default().lookUp(Scenario{Topology: file, System: "etcd"}, Options{})
	require.ErrorAs(t, err, new(*UsageError))
	require.ErrorContains(t, err, "topology two has 2 datacenters, and the system etcd has no more than one")
}

func TestAGivenSystemIsToldNothingByTheScenario(t *testing.T) {
	mine, err := Default().Systems[0].Make(Scenario{}.Defaults())
	require.NoError(t, err)
	for name, s := range map[string]Scenario{
		"defects":            {Defects: []string{"no-fsync"}},
		"raft-multiplier":    {RaftMultiplier: 5},
		"snapshot-threshold": {SnapshotThreshold: 100},
		"hops":               {Hops: true},
		"system":             {System: "other"},
	} {
		_, err := Default().lookUp(s, Options{System: mine})
		require.ErrorAs(t, err, new(*UsageError), name)
		require.ErrorContains(t, err, name+" is not for a system that the program brings")
	}
	p, err := Default().lookUp(Scenario{Nemesis: []string{"kill"}}, Options{System: mine})
	require.NoError(t, err)
	stored, err := ParseScenario("scenario.yaml", []byte(p.stored().String()))
	require.NoError(t, err)
	_, err = Default().lookUp(stored, Options{})
	require.ErrorContains(t, err, `the system "agent" was brought by a Go program`, "it does not repeat as another")
}

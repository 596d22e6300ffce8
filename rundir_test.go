package faultline

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker/rundir"
	"faultline/nodes/docker"
	"faultline/topologies"
)

func aPlan(t *testing.T) *plan {
	t.Helper()
	p, err := Default().lookUp(Scenario{Name: "here", Nemesis: []string{"kill"}}, Options{})
	require.NoError(t, err)
	p.runtime = docker.New()
	return p
}

func TestRunsThatBeginAtOnceGetDirectoriesOfTheirOwn(t *testing.T) {
	store := t.TempDir()
	p := aPlan(t)
	const runs = 20
	var mu sync.Mutex
	started := map[string]string{} // by id of the run on its machine
	var errs []error
	var all sync.WaitGroup
	for range runs {
		all.Go(func() {
			dir, record, err := newRunDir(store, p)
			if err == nil {
				err = rundir.Announce(dir)
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			started[runID("here", record.Started)] = dir
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, started, runs)
	for _, link := range []string{store, filepath.Join(store, "here")} {
		latest, err := rundir.Locate(link)
		require.NoError(t, err)
		require.Contains(t, started, runIDOf(t, latest))
	}
	names, err := filepath.Glob(filepath.Join(store, "*"))
	require.NoError(t, err)
	require.Len(t, names, 2, "no link is left half made: %v", names)
}

func runIDOf(t *testing.T, dir string) string {
	t.Helper()
	record, err := rundir.ReadRecord(dir)
	require.NoError(t, err)
	return runID("here", record.Started)
}

// A topology that a program brings is kept in the run directory, from where the run repeats.
func TestATopologyOfTheProgramIsKept(t *testing.T) {
	layout, err := topologies.Parse("mine.yaml", []byte("name: mine\ndatacenters:\n  - {name: dc1, servers: [ann, bob, eve]}\n"))
	require.NoError(t, err)
	p, err := Default().lookUp(Scenario{Name: "here", Nemesis: []string{"kill"}}, Options{Topology: layout})
	require.NoError(t, err)
	p.runtime = docker.New()
	dir, _, err := newRunDir(t.TempDir(), p)
	require.NoError(t, err)
	again, err := LoadScenario(filepath.Join(dir, rundir.ScenarioFile))
	require.NoError(t, err)
	q, err := Default().lookUp(again, Options{})
	require.NoError(t, err)
	require.Equal(t, p.topology, q.topology)
	require.Equal(t, p.schedule.Steps, q.schedule.Steps)
	_, err = Default().lookUp(Scenario{Topology: "dc1-5"}, Options{Topology: layout})
	require.ErrorContains(t, err, "topology is not for a run whose topology the program brings")
}

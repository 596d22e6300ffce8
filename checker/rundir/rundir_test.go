package rundir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADiscardedRunLeavesOtherRunsAlone(t *testing.T) {
	store := t.TempDir()
	first, _, err := Create(store, "here")
	require.NoError(t, err)
	second, _, err := Create(store, "here")
	require.NoError(t, err)
	require.NoError(t, Discard(second))
	require.NoDirExists(t, second)
	require.DirExists(t, first)
	require.NoError(t, Discard(first))
	require.NoDirExists(t, filepath.Dir(first))
	require.DirExists(t, store)
}

func TestRunsOfAStoreAreListedWhateverTheStoreIsCalled(t *testing.T) {
	store := filepath.Join(t.TempDir(), "a*[b]?")
	none, err := List(store)
	require.NoError(t, err)
	require.Empty(t, none)
	var want []string
	for _, scenario := range []string{"one", "one", "two"} {
		dir, _, err := Create(store, scenario)
		require.NoError(t, err)
		require.NoError(t, Write(dir, ScenarioFile, "name: x\n"))
		require.NoError(t, Announce(dir))
		want = append(want, dir)
	}
	_, _, err = Create(store, "empty")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(store, Suites, "s"), 0o755))
	all, err := List(store)
	require.NoError(t, err)
	require.Equal(t, want, all, "without links, suites and folders that hold no run")
}

func TestARunIsLocatedByItsStoreItsScenarioOrItself(t *testing.T) {
	store, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	dir, _, err := Create(store, "here")
	require.NoError(t, err)
	_, err = Locate(dir)
	require.EqualError(t, err, dir+" holds no run: no scenario.yaml there, nor in "+dir+"/latest; give a run directory, or a store")
	require.NoError(t, Write(dir, ScenarioFile, "name: x\n"))
	require.NoError(t, Announce(dir))
	for _, path := range []string{dir, filepath.Dir(dir), store, filepath.Join(store, Latest), filepath.Join(store, "here", Latest)} {
		found, err := Locate(path)
		require.NoError(t, err)
		require.Equal(t, dir, found, path)
	}
}

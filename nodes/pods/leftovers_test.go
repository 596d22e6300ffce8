package pods

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyOldBuildsOfOnesOwnAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	old := time.Now().Add(-2 * buildAge)
	make := func(name string, at time.Time) string {
		dir := filepath.Join(os.TempDir(), name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "x"), 0o700))
		require.NoError(t, os.Chtimes(dir, at, at))
		return dir
	}
	cut, young, other := make(injectorBuild+"1", old), make(injectorBuild+"2", time.Now()), make("another", old)
	victim := make("victim", old)
	link := filepath.Join(os.TempDir(), injectorBuild+"3")
	require.NoError(t, os.Symlink(victim, link))
	removed, err := CleanBuilds(BuildLeftovers())
	require.NoError(t, err)
	require.Equal(t, []string{"half a build, " + cut}, removed)
	require.NoDirExists(t, cut)
	for _, dir := range []string{young, other, victim} {
		require.DirExists(t, dir)
	}
	if os.Geteuid() == 0 {
		theirs := make(injectorBuild+"4", old)
		require.NoError(t, os.Chown(theirs, 1, 1))
		removed, err = CleanBuilds(BuildLeftovers())
		require.NoError(t, err)
		require.Empty(t, removed)
	}
}

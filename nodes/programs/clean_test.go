package programs

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/internal/lock"
)

func TestCleanRemovesWhatKilledBuildsLeft(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	checkout := filepath.Join(cache, "faultline", "0123")
	old := time.Now().Add(-2 * buildLimit)
	made := func(age time.Time, path ...string) string {
		dir := filepath.Join(path...)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "part"), nil, 0o600))
		require.NoError(t, os.Chtimes(dir, age, age))
		return dir
	}
	gone := []string{made(old, os.TempDir(), "faultline-injector-1"), made(old, checkout, "build-1")}
	used := made(old, checkout, "build-2")
	kept := []string{used, made(time.Now(), os.TempDir(), "faultline-injector-2"), made(time.Now(), checkout, "build-3"),
		made(old, os.TempDir(), "faultline-other"), made(old, checkout, "agent")}
	user, err := os.Open(used)
	require.NoError(t, err)
	defer user.Close()
	require.NoError(t, lock.Take(user))
	victim := made(old, t.TempDir())
	require.NoError(t, os.Symlink(victim, filepath.Join(os.TempDir(), "faultline-injector-3")))

	done, err := Clean(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"directory " + gone[0] + " (a build that was killed)", "directory " + gone[1] + " (a build that was killed)"}, done.Removed)
	for _, dir := range gone {
		require.NoDirExists(t, dir)
	}
	for _, dir := range append(kept, victim) {
		require.FileExists(t, filepath.Join(dir, "part"))
	}
	done, err = Clean(t.Context())
	require.NoError(t, err)
	require.Zero(t, done)
}

func TestCleanWithoutACache(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	for _, cache := range []string{"", filepath.Join(t.TempDir(), "missing")} {
		t.Setenv("XDG_CACHE_HOME", cache)
		t.Setenv("HOME", cache)
		done, err := Clean(t.Context())
		require.NoError(t, err)
		require.Zero(t, done)
	}
}

func TestCleanOfACacheThatCannotBeRead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	require.NoError(t, os.WriteFile(filepath.Join(cache, "faultline"), nil, 0o600))
	_, err := Clean(t.Context())
	require.ErrorAs(t, err, new(*fs.PathError))
}

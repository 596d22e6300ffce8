package fakedisk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

func put(t *testing.T, d *Disk, name, text string, sync bool) {
	t.Helper()
	f, err := d.Open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

func get(t *testing.T, d nodes.Disk, name string) string {
	t.Helper()
	f, err := d.Open(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "(absent)"
	}
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(b)
}

func TestNamesSurviveOnlyAfterSyncDir(t *testing.T) {
	d := New()
	put(t, d, "a", "one", true)
	require.Equal(t, "(absent)", get(t, d.PowerLoss(Fates["nothing"]), "a"))

	d = New()
	put(t, d, "a", "one", true)
	require.NoError(t, d.SyncDir("."))
	require.Equal(t, "one", get(t, d.PowerLoss(Fates["nothing"]), "a"))
}

func TestRenameIsUndone(t *testing.T) {
	for fate, want := range map[string]string{"nothing": "old", "names": "new"} {
		d := New()
		put(t, d, "a", "old", true)
		put(t, d, "b", "new", true)
		require.NoError(t, d.SyncDir("."))
		require.NoError(t, d.Rename("b", "a"))
		require.Equal(t, want, get(t, d.PowerLoss(Fates[fate]), "a"), fate)
	}
}

func TestUnsyncedDataIsTorn(t *testing.T) {
	for fate, want := range map[string]string{
		"names":       "",
		"first half":  "01234567",
		"second half": "\x00\x00\x00\x00\x00\x00\x00\x0089abcdef",
		"everything":  "0123456789abcdef",
	} {
		d := New()
		put(t, d, "a", "0123456789abcdef", false)
		require.Equal(t, want, get(t, d.PowerLoss(Fates[fate]), "a"), fate)
	}
}

func TestAKillKeepsTheCacheAndMakesNothingDurable(t *testing.T) {
	d := New()
	put(t, d, "a", "text", false)
	d = d.Kill()
	require.Equal(t, "text", get(t, d, "a"))
	require.Equal(t, "(absent)", get(t, d.PowerLoss(Fates["nothing"]), "a"))
}

func TestAFailedSyncForgets(t *testing.T) {
	d := New()
	put(t, d, "a", "", true)
	require.NoError(t, d.SyncDir("."))
	f, err := d.Open("a", os.O_RDWR)
	require.NoError(t, err)
	_, err = f.Write([]byte("text"))
	require.NoError(t, err)
	lost := errors.New("input/output error")
	d.Before(func(o Op) error {
		if o.Kind == Sync {
			return lost
		}
		return nil
	})
	require.ErrorIs(t, f.Sync(), lost)
	d.Before(nil)
	require.NoError(t, f.Sync(), "the pages are clean now")
	require.Equal(t, "text", get(t, d, "a"))
	require.Equal(t, "", get(t, d.PowerLoss(Fates["everything"]), "a"))
}

func TestACrashHalvesTheWriteAndEndsTheDisk(t *testing.T) {
	d := New()
	d.CrashAt(2)
	f, err := d.Open("a", os.O_RDWR|os.O_CREATE)
	require.NoError(t, err)
	_, err = f.Write([]byte("0123"))
	require.ErrorIs(t, err, ErrCrashed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, ErrCrashed)
	require.Equal(t, "01", get(t, d.Kill(), "a"))
}

func TestDirectories(t *testing.T) {
	d := New()
	_, err := d.Open("x/a", os.O_RDWR|os.O_CREATE)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, d.MkdirAll("x/y"))
	put(t, d, "x/b", "1", true)
	put(t, d, "x/a", "2", true)
	names, err := d.ReadDir("x")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "y"}, names)
	require.Error(t, d.Remove("x"))
	require.NoError(t, d.SyncDir("x"))
	require.Equal(t, "(absent)", get(t, d.PowerLoss(Fates["nothing"]), "x/a"), "x itself did not survive")
}

func TestLock(t *testing.T) {
	d := New()
	c, err := d.Lock()
	require.NoError(t, err)
	_, err = d.Lock()
	require.Error(t, err)
	require.NoError(t, c.Close())
	_, err = d.Lock()
	require.NoError(t, err)
}

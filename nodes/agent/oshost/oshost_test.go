package oshost

import (
	"io"
	"log/slog"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDisk(t *testing.T) {
	disk, err := OpenDisk(t.TempDir() + "/made")
	require.NoError(t, err)
	require.NoError(t, disk.MkdirAll("a/b"))
	f, err := disk.Open("a/b/file", os.O_CREATE|os.O_RDWR)
	require.NoError(t, err)
	_, err = io.WriteString(f, "hello")
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	size, err := f.Size()
	require.NoError(t, err)
	require.Equal(t, int64(5), size)
	require.NoError(t, f.Close())
	require.NoError(t, disk.Rename("a/b/file", "a/z"))
	require.NoError(t, disk.SyncDir("a"))
	names, err := disk.ReadDir("a")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "z"}, names)
	require.NoError(t, disk.Remove("a/b"))
	_, err = disk.Open("a/b/file", os.O_RDONLY)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = disk.Open("../outside", os.O_CREATE|os.O_RDWR)
	require.Error(t, err, "names do not lead out of the directory")
}

func TestLockIsExclusive(t *testing.T) {
	dir := t.TempDir()
	one, err := OpenDisk(dir)
	require.NoError(t, err)
	two, err := OpenDisk(dir)
	require.NoError(t, err)
	held, err := one.Lock()
	require.NoError(t, err)
	_, err = two.Lock()
	require.ErrorContains(t, err, "in use")
	require.NoError(t, held.Close())
	held, err = two.Lock()
	require.NoError(t, err)
	require.NoError(t, held.Close())
}

func TestUsage(t *testing.T) {
	h, err := New(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	stop := make(chan struct{})
	before := h.Usage()
	for range 1000 {
		go func() { <-stop }()
	}
	var open []*os.File
	for range 100 {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		open = append(open, f)
	}
	kept := make([]byte, 64<<20)
	runtime.GC()
	after := h.Usage()
	runtime.KeepAlive(kept)
	close(stop)
	for _, f := range open {
		require.NoError(t, f.Close())
	}
	require.GreaterOrEqual(t, after.Goroutines, 1000)
	require.GreaterOrEqual(t, after.Memory, before.Memory+60<<20)
	if _, err := os.Stat("/proc/self/fd"); err == nil {
		require.GreaterOrEqual(t, after.Descriptors, before.Descriptors+90)
	}
}

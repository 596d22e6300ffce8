//go:build unix

package lock

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string) *os.File {
	f, err := os.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() }) // some are closed before
	return f
}

func TestALockEndsWithItsFile(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	require.NoError(t, Take(first))
	free, err := Try(second)
	require.NoError(t, err)
	require.False(t, free)
	require.NoError(t, Release(first))
	free, err = Try(second)
	require.NoError(t, err)
	require.True(t, free)
	require.NoError(t, Release(second))
	require.NoError(t, Take(first))
	require.NoError(t, first.Close())
	free, err = Try(second)
	require.NoError(t, err)
	require.True(t, free)
}

func TestWhoeverWaitsGetsTheLock(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	require.NoError(t, Take(first))
	taken := make(chan error)
	go func() { taken <- Take(second) }()
	require.NoError(t, first.Close())
	require.NoError(t, <-taken)
	free, err := Try(open(t, dir))
	require.NoError(t, err)
	require.False(t, free)
}

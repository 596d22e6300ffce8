package etcd

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	s, err := New(Options{Heartbeat: 200 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, time.Second, s.options.Election)
	for words, o := range map[string]Options{
		"heartbeat 1.5ms: want whole milliseconds": {Heartbeat: 1500 * time.Microsecond},
		"heartbeat -1s":      {Heartbeat: -time.Second},
		"election 400ms":     {Heartbeat: 100 * time.Millisecond, Election: 400 * time.Millisecond},
		"election 1m0s":      {Election: time.Minute},
		"snapshot-count -1:": {SnapshotCount: -1},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, words)
	}
}

// TestABinaryThatCannotBeStarted is refused before anything starts, and the words say the fix.
func TestABinaryThatCannotBeStarted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("programs for pods are looked at on Linux alone")
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	here, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	foreign := append([]byte{}, here[:1<<12]...)
	foreign[18], foreign[19] = 0x16, 0 // elf(5), e_machine: EM_S390
	foreign[40], foreign[60] = 0, 0    // e_shoff, e_shnum: without sections
	for i := 40; i < 48; i++ {
		foreign[i] = 0
	}
	foreign[61], foreign[62], foreign[63] = 0, 0, 0
	for name, c := range map[string]struct{ binary, words string }{
		"missing":        {filepath.Join(dir, "none"), "--set binary=PATH"},
		"not in PATH":    {"no-such-etcd", "--set binary=PATH"},
		"not executable": {write("plain", "x", 0o600), "permission denied; install etcd"},
		"a directory":    {dir, "--set binary=PATH"},
		"a script":       {write("script", "#!/bin/sh\necho etcd Version: 3.6.1\n", 0o700), "is no program of Linux"},
		"of s390":        {write("foreign", string(foreign), 0o700), "is for another kind of machine: EM_S390"},
		"another one":    {"/bin/true", "is no etcd: asked by --version it said"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{Binary: c.binary})
			require.NoError(t, err)
			require.ErrorContains(t, s.Ready(t.Context()), c.words)
		})
	}
}

func TestVersion(t *testing.T) {
	major, minor, err := parseVersion([]byte("etcd Version: 3.4.23\nGit SHA: Not provided\n"))
	require.NoError(t, err)
	require.Equal(t, []int{3, 4}, []int{major, minor})
	_, _, err = parseVersion([]byte("etcdctl version: 3.6.1\n"))
	require.ErrorContains(t, err, `it said "etcdctl version`)
}

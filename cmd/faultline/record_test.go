package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/local"
)

// localScenario is one of three servers on local, where a cluster is up in no time.
func localScenario(t *testing.T, name, text string) (path string) {
	t.Helper()
	if err := local.New().Check(t.Context()); err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skipf("needs the runtime local: %v", err)
	}
	path = filepath.Join(t.TempDir(), name+".yaml")
	text = "runtime: local\ntopology: dc1-3\nrate: 100\nconcurrency: 6\nmin-ops: 50\nquiet: 2s\n" + text
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestAnInterruptedRunIsUnknown(t *testing.T) {
	t.Parallel()
	h := start(t, nil, "test", "--store", t.TempDir(), localScenario(t, "ended", `
time-limit: 60s
steps:
  - {at: 0s, for: 1s, fault: pause, target: [dc1-s1]}
  - {at: 30s, for: 1s, fault: pause, target: [dc1-s2]}
`))
	h.await("heal: pause")
	h.signal(syscall.SIGTERM) // as a CI does whose time is up
	require.Equal(t, exitUnknown, h.exits(), h.said())
	require.Contains(t, h.stdout.String(), "only 1 of 2 planned faults began")
	require.Contains(t, h.stdout.String(), "what would have followed was not tried")
}

func TestAHarnessThatStoodStillSaysSo(t *testing.T) {
	t.Parallel()
	h := start(t, nil, "test", "--store", t.TempDir(), localScenario(t, "stopped", `
time-limit: 9s
steps:
  - {at: 1s, for: 6s, fault: pause, target: [dc1-s1]}
`))
	h.await("fault: pause")
	require.NoError(t, syscall.Kill(h.inner, syscall.SIGSTOP))
	time.Sleep(4 * time.Second) // a history may be silent for three
	require.NoError(t, syscall.Kill(h.inner, syscall.SIGCONT))
	require.Equal(t, exitUnknown, h.exits(), h.said())
	require.Contains(t, h.stdout.String(), "the harness stood still from ")
	require.Contains(t, h.stdout.String(), "during step 0 (pause)")
}

// spaceOf is PID 1 of the namespaces of a harness's cluster.
func spaceOf(t *testing.T, harness int) int {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(harness), "-f", "injector space").Output()
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	return pid
}

func TestALostClusterIsNobodysFault(t *testing.T) {
	t.Parallel()
	h := start(t, nil, "test", "--store", t.TempDir(), localScenario(t, "lost", `
time-limit: 60s
steps:
  - {at: 0s, for: 30s, fault: pause, target: [dc1-s1]}
`))
	h.await("fault: pause")
	require.NoError(t, syscall.Kill(spaceOf(t, h.inner), syscall.SIGKILL))
	began := time.Now()
	require.Equal(t, exitUnknown, h.exits(), h.said())
	require.Less(t, time.Since(began), 20*time.Second, "it does not go on with what is gone")
	require.Contains(t, h.said(), "the cluster is lost: ")
	require.Contains(t, h.stdout.String(), "the cluster was lost at ")
}

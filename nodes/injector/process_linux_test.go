package injector

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/injector/disk"
)

// startNode starts a copy of this test program, of a path of its own, that sleeps.
func startNode(t *testing.T) (processes, *exec.Cmd) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	path := filepath.Join(dir, "node")
	program, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, program, 0o755))
	node := exec.Command(path)
	node.Env = append(os.Environ(), sleeper+"=1")
	require.NoError(t, node.Start())
	t.Cleanup(func() { node.Process.Kill() }) // if the test failed before it did
	return processes{path: path, proc: "/proc"}, node
}

const sleeper = "INJECTOR_TEST_SLEEP"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ProbeCommand {
		if err := disk.Client(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(sleeper) == "1" {
		time.Sleep(time.Hour)
	}
	if role := map[string]func() error{"1": holdHere, "catch": catchHere, "enter": enterHere}[os.Getenv(holder)]; role != nil {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestProcessesAreStoppedContinuedAndKilled(t *testing.T) {
	p, node := startNode(t)
	for _, want := range []faults.ProcessState{faults.Running, faults.Paused, faults.Paused, faults.Running, faults.Paused, faults.Killed} {
		got, err := p.set(want)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = p.seen()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Error(t, node.Wait())
	got, err := p.set(faults.Running)
	require.NoError(t, err)
	require.Equal(t, faults.Killed, got, "what is absent is not started")
}

func TestProcessesOfOtherFilesAreLeftAlone(t *testing.T) {
	p, node := startNode(t)
	p.path += "-other"
	got, err := p.set(faults.Killed)
	require.NoError(t, err)
	require.Equal(t, faults.Killed, got)
	require.NoError(t, node.Process.Kill())
	require.Error(t, node.Wait())
}

func TestThreads(t *testing.T) {
	require.Equal(t, faults.Killed, threads{}.state())
	require.Equal(t, faults.Paused, threads{stopped: 2}.state())
	require.Equal(t, faults.Running, threads{free: 1, stopped: 2}.state())
	require.True(t, threads{free: 1}.are(faults.Running))
	require.False(t, threads{free: 1, stopped: 2}.are(faults.Running), "one of two processes is still stopped")
	require.False(t, threads{free: 1, stopped: 2}.are(faults.Paused))
}

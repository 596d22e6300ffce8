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
	return processes{proc: "/proc", are: func(_ int, file string, _ []byte) bool { return file == path }}, node
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
	p.are = func(_ int, file string, _ []byte) bool { return file == "/another" }
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

func TestWhoseProcessItIs(t *testing.T) {
	stat := func(parent int) []byte { return fmt.Appendf(nil, "7 (a (strange) name) S %d 1 1 0", parent) }
	is := nodeProcesses("/store/injector", func() int { return 7 })
	require.True(t, is(7, "/bin/node", stat(0)), "it has entered")
	require.True(t, is(7, "/usr/bin/python3", stat(1)), "started by PID 1")
	require.True(t, is(9, "/tmp/helper", stat(7)), "a child")
	require.True(t, is(9, "/tmp/helper (deleted)", stat(1)), "an orphan")
	require.False(t, is(9, "/usr/sbin/runc", stat(0)), "the engine is about to start something")
	require.False(t, is(9, "/memfd:runc_cloned:/proc/self/exe (deleted)", stat(0)))
	require.False(t, is(7, Path, stat(0)), "it has not executed the node yet")
	require.False(t, is(9, Path, stat(1)), "it tries the disk")
	require.False(t, is(9, "/store/injector", stat(1)), "as PID 1 does, from where it was started")
	require.False(t, is(9, "", stat(1)), "nobody may look")
	require.False(t, is(9, "/bin/node", []byte("nonsense")))
}

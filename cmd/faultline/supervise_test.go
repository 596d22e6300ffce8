package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// broken are commands that end as a harness must not.
var broken = map[string]func(){
	"panics":    func() { go panic("boom"); select {} },
	"exits-two": func() { os.Exit(2) },
	"is-killed": func() { syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"waits":     func() { os.Stdout.WriteString("ready\n"); time.Sleep(time.Minute) },
}

func brokenMain(work func()) func() {
	return func() {
		if os.Getenv(envInner) == "" {
			os.Exit(supervise())
		}
		work()
	}
}

// What breaks down is never taken for a verdict, whatever its exit code is.
func TestABrokenHarnessIsNoVerdict(t *testing.T) {
	for name := range broken {
		if name == "waits" {
			continue
		}
		cmd := exec.Command(name)
		said, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, exitHarness, cmd.ProcessState.ExitCode(), name)
		require.Contains(t, string(said), "faultline: the harness broke down: ", name)
	}
	cmd := exec.Command("waits")
	var said strings.Builder
	cmd.Stderr = &said
	ready(t, cmd)
	require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
	require.Error(t, cmd.Wait())
	require.Equal(t, exitHarness, cmd.ProcessState.ExitCode())
	require.Contains(t, said.String(), "SIGQUIT: quit", "and tells where it was")
}

func TestAVerdictIsPassedOn(t *testing.T) {
	for _, code := range []int{exitValid, exitInvalid, exitUnknown, exitUsage} {
		broken := map[int][]string{exitValid: {"--help"}, exitInvalid: {"analyze", "testdata/runs/invalid", "--store", t.TempDir()},
			exitUnknown: {"analyze", "testdata/runs/cut-off"}, exitUsage: {"--nonsense"}}[code]
		if code == exitInvalid || code == exitUnknown {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(broken[1])))
			broken = []string{"analyze", dir}
		}
		cmd := exec.Command("faultline", broken...)
		cmd.Run() // the code says all
		require.Equal(t, code, cmd.ProcessState.ExitCode(), "%v", broken)
	}
}

// The process that works does not outlive its supervisor.
func TestAKilledSupervisorTakesItsChildAlong(t *testing.T) {
	cmd := exec.Command("waits")
	ready(t, cmd)
	pid := inner(t, cmd.Process.Pid)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	gone(t, pid)
}

// ready starts a command and waits until it says so.
func ready(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

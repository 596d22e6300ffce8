//go:build linux

package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// syncing calls fsync by libc, which unlike Python's own does not repeat it, while a timer's signal comes every 3 ms, if asked.
const syncing = `
import ctypes, os, signal, sys, time
libc, came = ctypes.CDLL(None, use_errno=True), []
signal.signal(signal.SIGALRM, lambda *_: came.append(1))
f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.write(f, b"x")
print("ready", flush=True)
if sys.argv[3] == "yes": signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
began = time.monotonic()
code = libc.fsync(f)
took, errno = time.monotonic() - began, ctypes.get_errno()
signal.setitimer(signal.ITIMER_REAL, 0)
print(code, errno, took >= float(sys.argv[2]), len(came) > 0)`

func syncer(t *testing.T, file string, delay time.Duration, alarms string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		lacking(t, "python3 is not here: "+err.Error())
	}
	cmd := exec.Command(path, "-c", syncing, file, fmt.Sprint(delay.Seconds()), alarms)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())
	return cmd, lines
}

func TestSignalsDoNotShortenASlowSync(t *testing.T) {
	m := mountedDisk(t)
	const delay = 300 * time.Millisecond
	require.NoError(t, m.Set(faults.Disk{SlowSync: delay}))
	cmd, lines := syncer(t, m.path("a"), delay, "yes")
	require.True(t, lines.Scan())
	require.Equal(t, "0 0 True True", lines.Text(), "what fsync answered, errno, whether it took the delay, whether signals came")
	require.NoError(t, cmd.Wait())
}

// One that has had another signal before, for which alone the kernel tells of an interrupt, and one that has not.
func TestAProcessThatIsKilledInASlowSyncGoes(t *testing.T) {
	m := mountedDisk(t)
	require.NoError(t, m.Set(faults.Disk{SlowSync: time.Minute}))
	for _, c := range []struct {
		alarms string
		signal syscall.Signal
	}{{"yes", syscall.SIGKILL}, {"no", syscall.SIGKILL}, {"no", syscall.SIGTERM}} {
		cmd, _ := syncer(t, m.path("a"), 0, c.alarms)
		require.Eventually(t, func() bool { return inSync(t, cmd.Process.Pid) }, 20*time.Second, 10*time.Millisecond)
		time.Sleep(10 * killPoll)
		require.True(t, inSync(t, cmd.Process.Pid), "the signals so far have not ended it")
		require.NoError(t, cmd.Process.Signal(c.signal))
		gone := make(chan error, 1)
		go func() { gone <- cmd.Wait() }()
		select {
		case err := <-gone:
			require.ErrorContains(t, err, "signal: "+c.signal.String())
		case <-time.After(30 * time.Second):
			t.Fatalf("%v did not end the process (alarms before: %s)", c.signal, c.alarms)
		}
	}
}

// inSync reports whether a process is in fsync (proc_pid_syscall(5)).
func inSync(t *testing.T, pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	require.NoError(t, err)
	return strings.HasPrefix(string(text), fmt.Sprintf("%d ", unix.SYS_FSYNC))
}

func TestPendingSignals(t *testing.T) {
	require.True(t, killPending([]byte("Name:\tx\nSigQ:\t0/1\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000002\n")))
	for _, none := range []string{"", "ShdPnd:\t0000000000000100\n", "SigPnd:\tx\n", "SigPnd:\t0000000000000200\n"} {
		require.False(t, killPending([]byte(none)), none)
	}
}

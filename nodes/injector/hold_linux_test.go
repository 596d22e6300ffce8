package injector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
	"faultline/nodes/injector/clock"
)

// holder, in the environment, makes this program hold like the PID 1 of a pod: orphans
// below it become its children.
const holder = "INJECTOR_TEST_HOLD"

func holdHere() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	orphans := []string{"sh", "-c", "for i in 1 2 3 4 5; do sleep 0.05 & done"}
	_, err := os.StartProcess("/bin/sh", orphans, &os.ProcAttr{Files: []*os.File{nil, nil, nil}})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println("holding")
	return Reap(ctx, func(int, unix.WaitStatus) error { return nil })
}

func TestReapReapsOrphans(t *testing.T) {
	hold := exec.Command("/proc/self/exe")
	hold.Env = append(os.Environ(), holder+"=1")
	out, err := hold.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, hold.Start())
	t.Cleanup(func() { hold.Process.Kill() }) // if the test failed before it ended
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "holding\n", line)

	require.Eventually(t, func() bool { return len(childrenOf(t, hold.Process.Pid)) == 0 },
		20*time.Second, 10*time.Millisecond)
	require.NoError(t, hold.Process.Signal(syscall.SIGTERM))
	require.NoError(t, hold.Wait())
}

// A child that is caught at its exec, by the very process that reaps, is not taken for ended when it
// stops for that, and is told to have ended once, in the end.
func TestReapTellsStopsFromEnds(t *testing.T) {
	p, err := clock.Open(os.Getpid())
	if err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") == "" {
		t.Skip("no process may be traced here: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, p.Close())
	reap := exec.Command("/proc/self/exe")
	reap.Env = append(os.Environ(), holder+"=catch")
	out, err := reap.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "3600 seconds ahead\nexit code 7\n", string(out))
}

// catchHere reaps, catches a shell that is about to execute another, and tells how far ahead
// that one's clock is and how it ends.
func catchHere() error {
	gate, open, err := os.Pipe()
	if err != nil {
		return err
	}
	args := []string{"sh", "-c", "read line; exec sh -c 'read line; exit 7'"}
	shell, err := os.StartProcess("/bin/sh", args, &os.ProcAttr{Files: []*os.File{gate, nil, os.Stderr}})
	if err != nil {
		return err
	}
	over := errors.New("over")
	reaped := make(chan error)
	go func() {
		reaped <- Reap(context.Background(), func(pid int, status unix.WaitStatus) error {
			if pid != shell.Pid {
				return nil
			}
			fmt.Println("exit code", status.ExitStatus())
			return over
		})
	}()
	caught, err := clock.Catch(shell.Pid)
	if err != nil {
		return err
	}
	if _, err := open.WriteString("go on\n"); err != nil {
		return err
	}
	process, err := caught.Exec(context.Background(), clock.Setting{Clock: faults.Clock{Offset: time.Hour}})
	if err != nil {
		return err
	}
	seen, err := process.Read()
	if err != nil {
		return err
	}
	fmt.Println(seen.Wall.Round(time.Second).Seconds(), "seconds ahead")
	if _, err := open.WriteString("end\n"); err != nil {
		return err
	}
	if err := <-reaped; err != over {
		return err
	}
	return process.Close()
}

// childrenOf lists the stat lines of the children of a process, zombies included.
func childrenOf(t *testing.T, pid int) (lines []string) {
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // not a process, or gone
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(pid) {
			lines = append(lines, string(stat))
		}
	}
	return lines
}

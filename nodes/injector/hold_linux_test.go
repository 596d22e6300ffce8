package injector

import (
	"bufio"
	"context"
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

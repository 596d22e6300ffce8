//go:build amd64 || arm64

package clock

import (
	"bufio"
	"fmt"
	"io"
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

// role, in the environment, makes this program be one whose clocks are set.
const role = "CLOCK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "tell":
		tell()
	case "busy":
		busy()
	case "exec":
		execute()
	}
}

// tell answers each line with what the wall clock shows, and how far the monotonic clock, by
// the time package, is from the true one.
func tell() {
	began := time.Now()
	first, err := ask(unix.CLOCK_MONOTONIC)
	for in := bufio.NewScanner(os.Stdin); err == nil; {
		var truth int64
		shown := time.Now()
		truth, err = ask(unix.CLOCK_MONOTONIC)
		fmt.Println(shown.UnixNano(), int64(shown.Sub(began))-(truth-first))
		if !in.Scan() {
			return
		}
	}
	fmt.Println(err)
}

// execute waits for a line and then executes its arguments; this program among them is tell.
func execute() {
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return
	}
	if err := os.Setenv(role, "tell"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

// child is a running program with a conversation.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func prepared(t testing.TB, cmd *exec.Cmd) *child {
	c := &child{Cmd: cmd}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	c.in, err = cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	c.out = bufio.NewScanner(out)
	return c
}

func (c *child) ends(t testing.TB) {
	t.Cleanup(func() {
		c.Process.Kill() // fails if it has ended already
		c.Wait()
	})
}

func self(as string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), role+"="+as)
	return cmd
}

// under starts a program under a setting.
func under(t testing.TB, cmd *exec.Cmd, s Setting) (*child, *Process) {
	c := prepared(t, cmd)
	p, err := Start(cmd, s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	c.ends(t)
	return c, p
}

// running starts a program that nobody traces, and opens it.
func running(t testing.TB, cmd *exec.Cmd) (*child, *Process) {
	c := prepared(t, cmd)
	require.NoError(t, cmd.Start())
	c.ends(t)
	p, err := Open(cmd.Process.Pid)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return c, p
}

func (c *child) line(t testing.TB) string {
	require.True(t, c.out.Scan(), "the program has ended: %v", c.out.Err())
	return c.out.Text()
}

func (c *child) ask(t testing.TB) string {
	_, err := io.WriteString(c.in, "\n")
	require.NoError(t, err)
	return c.line(t)
}

// heard is what a program told in one line: what its wall clock showed, which was between two
// moments of the true one, and how far its monotonic clock was ahead of the true one by
// the program's own count.
type heard struct{ wall, before, after, ahead int64 }

func (c *child) hear(t testing.TB, get func(testing.TB) string) heard {
	var h heard
	var err error
	h.before, err = ask(unix.CLOCK_REALTIME)
	require.NoError(t, err)
	line := get(t)
	h.after, err = ask(unix.CLOCK_REALTIME)
	require.NoError(t, err)
	_, err = fmt.Sscan(strings.ReplaceAll(line, ",", " "), &h.wall, &h.ahead)
	require.NoError(t, err, line)
	return h
}

// shifted demands that the wall clock was ahead by something from low to high.
func (h heard) shifted(t testing.TB, low, high time.Duration) {
	t.Helper()
	require.True(t, h.wall >= h.before+int64(low) && h.wall <= h.after+int64(high),
		"the wall clock is %v to %v ahead, want %v to %v", time.Duration(h.wall-h.after), time.Duration(h.wall-h.before), low, high)
}

// needsTracing skips where no process may be traced or none has a vDSO that we know.
func needsTracing(t testing.TB) {
	t.Helper()
	cmd := self("tell")
	cmd.Stdin, cmd.Stdout = nil, nil
	p, err := Start(cmd, Setting{Clock: faults.Clock{Offset: 1}})
	lacking(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, cmd.Wait())
}

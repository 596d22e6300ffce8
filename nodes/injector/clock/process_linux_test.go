//go:build amd64 || arm64

package clock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

func now(t testing.TB) time.Duration {
	at, err := Now()
	require.NoError(t, err)
	return at
}

func read(t testing.TB, p *Process) Reading {
	r, err := p.Read()
	require.NoError(t, err)
	return r
}

func differs(t testing.TB, p *Process) (file, behind int) {
	file, behind, err := p.Differs()
	require.NoError(t, err)
	return file, behind
}

// A process of the same program that was not asked to be wrong is right.
func TestOneProcessAlone(t *testing.T) {
	needsTracing(t)
	wrong, p := under(t, self("tell"), Setting{Clock: faults.Clock{Offset: time.Hour}})
	right, q := under(t, self("tell"), Setting{})
	wrong.hear(t, wrong.line).shifted(t, time.Hour-time.Minute, time.Hour) // its first reading: before was read after that
	right.line(t)
	for range 100 {
		wrong.hear(t, wrong.ask).shifted(t, time.Hour, time.Hour)
		right.hear(t, right.ask).shifted(t, 0, 0)
	}
	seen := read(t, p)
	require.True(t, seen.Patched)
	require.InDelta(t, int64(time.Hour), int64(seen.Wall), float64(seen.Within))
	require.InDelta(t, 0, int64(seen.Monotonic), float64(seen.Within))
	require.False(t, read(t, q).Patched)
	file, behind := differs(t, q)
	require.Zero(t, file+behind, "the truth changes nothing")
}

// A process that runs already: set, changed, restored.
func TestOpenSetRestore(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("tell"))
	c.line(t)
	require.False(t, read(t, p).Patched)
	require.NoError(t, p.Set(Setting{}))
	require.False(t, read(t, p).Patched, "the truth changes nothing")

	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: -time.Hour}}))
	c.hear(t, c.ask).shifted(t, -time.Hour, -time.Hour)
	require.InDelta(t, -int64(time.Hour), int64(read(t, p).Wall), float64(read(t, p).Within)+1e3)
	file, behind := differs(t, p)
	require.NotZero(t, file)
	require.NotZero(t, behind)

	require.NoError(t, p.Set(Setting{}))
	c.hear(t, c.ask).shifted(t, 0, 0)
	require.True(t, read(t, p).Patched)

	require.NoError(t, p.Restore())
	c.hear(t, c.ask).shifted(t, 0, 0)
	require.False(t, read(t, p).Patched)
	file, behind = differs(t, p)
	require.Zero(t, file)
	require.NotZero(t, behind, "the payload stays, unreachable")

	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: time.Minute}}), "again")
	c.hear(t, c.ask).shifted(t, time.Minute, time.Minute)
	require.NoError(t, p.Restore())
	require.NoError(t, p.Restore(), "what is restored may be restored")
}

func TestDriftAndStrobe(t *testing.T) {
	needsTracing(t)
	since := now(t) / 2 // after the machine was started, whenever that was
	c, p := under(t, self("tell"), Setting{Clock: faults.Clock{Drift: 0.5}, Since: since})
	c.line(t)
	low := (now(t) - since) / 2
	h := c.hear(t, c.ask)
	high := (now(t) - since) / 2
	h.shifted(t, low-time.Microsecond, high+time.Microsecond)

	s := Setting{Clock: faults.Clock{Strobe: time.Hour, Period: 100 * time.Millisecond}, Since: now(t)}
	require.NoError(t, p.Set(s))
	shown := map[bool]bool{}
	for len(shown) < 2 {
		r := read(t, p)
		ahead := r.Wall > 30*time.Minute
		require.InDelta(t, map[bool]float64{true: float64(time.Hour), false: 0}[ahead], float64(r.Wall), float64(r.Within)+1e3)
		shown[ahead] = true
	}

	looks, err := p.Watch(250*time.Millisecond, 50)
	require.NoError(t, err)
	require.Len(t, looks, 50)
	for i, l := range looks {
		due := (l.At-s.Since)/s.Period%2 == 0
		if edge := (l.At - s.Since) % s.Period; edge > time.Millisecond && edge < s.Period-time.Millisecond {
			require.InDelta(t, map[bool]float64{true: float64(time.Hour), false: 0}[due], float64(l.Wall), float64(l.Within)+1e3, i)
		}
	}
	require.GreaterOrEqual(t, looks[49].At-looks[0].At, 240*time.Millisecond)
	require.NoError(t, p.Set(Setting{}))
	require.NoError(t, p.Restore())
	looks, err = p.Watch(time.Second, 50)
	require.NoError(t, err)
	require.Empty(t, looks, "nothing stands between it and the kernel's clocks")
}

// The wall clock is set without the monotonic one; the latter goes forward only, and what it
// has gained it keeps.
func TestMonotonicKeepsWhatItGained(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("tell"))
	c.line(t)
	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: time.Hour}}))
	h := c.hear(t, c.ask)
	require.InDelta(t, 0, h.ahead, float64(time.Second))

	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Forward: time.Hour}}))
	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Forward: time.Hour}}), "again")
	require.InDelta(t, int64(time.Hour), int64(read(t, p).Monotonic), float64(read(t, p).Within)+1e3)
	h = c.hear(t, c.ask)
	h.shifted(t, 0, 0)
	require.InDelta(t, int64(time.Hour), h.ahead, float64(time.Minute))

	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Monotonic: 1, Forward: time.Minute}}))
	first := read(t, p)
	for read(t, p).At < first.At+20*time.Millisecond {
	}
	second := read(t, p)
	require.InDelta(t, int64(second.At-first.At), int64(second.Monotonic-first.Monotonic), float64(time.Millisecond))

	require.NoError(t, p.Set(Setting{}))
	gained := read(t, p)
	require.GreaterOrEqual(t, gained.Monotonic+gained.Within, second.Monotonic-second.Within)
	err := p.Restore()
	require.ErrorIs(t, err, ErrGained)
	later := read(t, p)
	require.True(t, later.Patched)
	require.InDelta(t, int64(gained.Monotonic), int64(later.Monotonic), float64(gained.Within+later.Within))
	require.InDelta(t, 0, int64(later.Wall), float64(later.Within))
}

// A process that was patched by somebody who has ended since goes on, and is known again.
func TestOpenAgain(t *testing.T) {
	needsTracing(t)
	c, p := under(t, self("tell"), Setting{Clock: faults.Clock{Offset: time.Hour, Forward: time.Hour}})
	q, err := Open(c.Process.Pid)
	require.NoError(t, err)
	require.InDelta(t, int64(time.Hour), int64(read(t, q).Wall), 1e5)
	require.NoError(t, q.Set(Setting{Clock: faults.Clock{Forward: time.Hour}}))
	require.NoError(t, q.Close())
	require.InDelta(t, int64(time.Hour), int64(read(t, p).Monotonic), float64(read(t, p).Within)+1e3, "forward once")
}

// A paused process is set, and stays paused.
func TestPausedStaysPaused(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("tell"))
	c.line(t)
	require.NoError(t, c.Process.Signal(unix.SIGSTOP))
	require.Eventually(t, func() bool { return letter(t, c.Process.Pid) == "T" }, 20*time.Second, time.Millisecond)
	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: time.Hour}}))
	require.Eventually(t, func() bool { return letter(t, c.Process.Pid) == "T" }, 20*time.Second, time.Millisecond)
	require.NoError(t, c.Process.Signal(unix.SIGCONT))
	c.hear(t, c.ask).shifted(t, time.Hour, time.Hour)
}

func letter(t testing.TB, pid int) string {
	out, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] == ')' {
			return string(out[i+2 : i+3])
		}
	}
	return ""
}

func TestProcessThatIsGone(t *testing.T) {
	needsTracing(t)
	c, p := under(t, self("tell"), Setting{Clock: faults.Clock{Offset: time.Hour}})
	require.NoError(t, c.in.Close())
	require.NoError(t, c.Wait())
	_, err := p.Read()
	require.ErrorIs(t, err, ErrGone)
	require.ErrorIs(t, p.Set(Setting{}), ErrGone)
	require.ErrorIs(t, p.Restore(), ErrGone)
	_, err = Open(c.Process.Pid)
	require.ErrorIs(t, err, ErrGone)
	_, err = Catch(c.Process.Pid)
	require.ErrorIs(t, err, ErrGone)
}

// An exec discards the patch, and whoever held it is told.
func TestExecDiscards(t *testing.T) {
	needsTracing(t)
	cmd := self("exec", "/proc/self/exe")
	c, p := under(t, cmd, Setting{Clock: faults.Clock{Offset: time.Hour}})
	c.hear(t, c.ask).shifted(t, 0, 0)
	require.ErrorIs(t, p.Set(Setting{}), ErrGone)
}

// A caught process, of several threads, gets its clocks before its first instruction.
func TestCatch(t *testing.T) {
	needsTracing(t)
	cmd := self("exec", "/proc/self/exe")
	c := prepared(t, cmd)
	require.NoError(t, cmd.Start())
	c.ends(t)
	caught, err := Catch(cmd.Process.Pid)
	require.NoError(t, err)
	_, err = c.in.Write([]byte("\n"))
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(unix.SIGURG), "signals are passed on")
	p, err := caught.Exec(context.Background(), Setting{Clock: faults.Clock{Offset: time.Hour}})
	require.NoError(t, err)
	defer p.Close() // was looked at
	c.hear(t, c.line).shifted(t, time.Hour-time.Minute, time.Hour)
	c.hear(t, c.ask).shifted(t, time.Hour, time.Hour)
	_, err = caught.Exec(context.Background(), Setting{})
	require.ErrorContains(t, err, "let go")
}

func TestCatchOfWhatDoesNotExec(t *testing.T) {
	needsTracing(t)
	c, _ := running(t, self("tell"))
	c.line(t)
	caught, err := Catch(c.Process.Pid)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	_, err = caught.Exec(ctx, Setting{Clock: faults.Clock{Offset: time.Hour}})
	require.ErrorContains(t, err, "has not executed anything: enough")
	c.hear(t, c.ask).shifted(t, 0, 0)

	caught, err = Catch(c.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, c.in.Close())
	_, err = caught.Exec(context.Background(), Setting{})
	require.ErrorIs(t, err, ErrGone)
	require.ErrorContains(t, err, "before it executed anything")
}

// A process that others trace is refused, and the error names them.
func TestTracedByOthers(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("tell"))
	c.line(t)
	caught, err := Catch(c.Process.Pid)
	require.NoError(t, err)
	err = p.Set(Setting{Clock: faults.Clock{Offset: 1}})
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorContains(t, err, fmt.Sprintf("thread %d traces it already", caught.thread.tid))
	caught.Release()
	require.Zero(t, tracerOf(c.Process.Pid), "Release has let it go when it returns")
	require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: 1}}))
}

// The main thread never ends, so it never traces.
func TestThreadsEnd(t *testing.T) {
	for range 200 {
		var tid int
		require.NoError(t, onThread(func() error { tid = unix.Gettid(); return nil }))
		require.NotEqual(t, unix.Getpid(), tid)
		require.NoDirExists(t, fmt.Sprintf("/proc/self/task/%d", tid))
	}
}

func TestStartOfWhatCannotRun(t *testing.T) {
	_, err := Start(exec.Command("/nowhere/at/all"), Setting{Clock: faults.Clock{Offset: 1}})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Start(exec.Command("/bin/true"), Setting{Clock: faults.Clock{Drift: -2}})
	require.ErrorContains(t, err, "want more than -1")
	_, err = Open(1 << 29)
	require.ErrorIs(t, err, ErrGone)
}

package clock

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Caught is a process that stops at its next exec. It must be waited for by Exec, or let
// go by Release, soon: until then also a signal, or a new thread, stops for it.
type Caught struct {
	pid    int
	thread thread
	seized map[int]bool
	over   bool
}

// Catch traces a process that is going to exec, all its threads. Who has caught it lets it go on
// to its exec, and calls Exec.
func Catch(pid int) (*Caught, error) {
	c := &Caught{pid: pid, thread: newThread(), seized: map[int]bool{}}
	err := c.thread.do(c.seize)
	if err != nil {
		c.thread.end()
		return nil, err
	}
	return c, nil
}

// seize traces the threads that there are; those that they start are traced by the kernel.
func (c *Caught) seize() error {
	for {
		tids, err := tasks(c.pid)
		if err != nil {
			return denied(c.pid, err)
		}
		if len(tids) == 0 {
			return fmt.Errorf("process %d: %w", c.pid, ErrGone)
		}
		fresh := false
		for _, tid := range tids {
			if c.seized[tid] {
				continue
			}
			err := ptrace(unix.PTRACE_SEIZE, tid, 0, unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_TRACECLONE)
			switch {
			case err == nil, errors.Is(err, unix.EPERM) && tracerOf(tid) == c.thread.tid: // as what a traced one starts
				c.seized[tid], fresh = true, true
			case !errors.Is(err, unix.ESRCH): // else it has ended
				return denied(c.pid, err)
			}
		}
		if !fresh {
			return nil
		}
	}
}

// Release lets the process go untouched.
func (c *Caught) Release() {
	if !c.over {
		c.over = true
		c.thread.end()
	}
}

// Exec waits until the process has executed its next program, and lets it go on with these
// clocks before the first instruction of that program. The truth leaves it as it is. If ctx
// ends first, or on any other error, the process goes on untouched.
func (c *Caught) Exec(ctx context.Context, s Setting) (*Process, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if c.over {
		return nil, errors.New("this process has been let go")
	}
	defer c.Release()
	var p *Process
	err := c.thread.do(func() (err error) {
		if err := c.await(ctx); err != nil {
			return err
		}
		p, err = patched(c.pid, s)
		return errors.Join(err, stop{}.resume(unix.PTRACE_DETACH, c.pid))
	})
	return p, err
}

// caughtPoll is how often it is asked whether the process has stopped.
const caughtPoll = 50 * time.Microsecond

// await lets the process do what it does until its exec.
func (c *Caught) await(ctx context.Context) error {
	for ; ; pause(caughtPoll) {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("process %d has not executed anything: %w", c.pid, err)
		}
		tids, dead, err := threads(c.pid)
		if err != nil {
			return denied(c.pid, err)
		}
		if err := c.bury(dead); err != nil {
			return err
		}
		if len(tids) == 0 {
			return fmt.Errorf("process %d has ended before it executed anything: %w", c.pid, ErrGone)
		}
		for _, tid := range tids {
			executed, err := c.pass(tid)
			if executed || err != nil {
				return err
			}
		}
	}
}

// bury waits for threads that have ended while they were traced: until then the exec of another
// thread of theirs would not go on (de_thread, fs/exec.c). The process itself is its parent's to wait for.
func (c *Caught) bury(dead []int) error {
	for _, tid := range dead {
		if tid == c.pid {
			continue
		}
		_, err := unix.Wait4(tid, nil, unix.WNOHANG|unix.WALL, nil)
		if err != nil && !errors.Is(err, unix.ECHILD) && !errors.Is(err, unix.EINTR) { // ECHILD: somebody was quicker
			return fmt.Errorf("thread %d has ended: %w", tid, err)
		}
	}
	return nil
}

// pass lets a thread go on that has stopped for anything else than exec. A process that is
// stopped stays stopped (PTRACE_LISTEN), and is told when it is continued.
func (c *Caught) pass(tid int) (executed bool, err error) {
	why, ok, err := stopped(tid)
	switch {
	case err != nil || !ok:
		return false, err
	case why.event == unix.PTRACE_EVENT_EXEC:
		return true, nil
	case why.paused():
		err = why.resume(unix.PTRACE_LISTEN, tid)
	default:
		err = why.resume(unix.PTRACE_CONT, tid)
	}
	return false, err
}

// Start starts a command whose clocks show s from its first instruction on. A command
// that cannot be skewed does not run: it is killed before that instruction.
func Start(cmd *exec.Cmd, s Setting) (*Process, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	attr.Ptrace = true // PTRACE_TRACEME: it stops with SIGTRAP at its exec
	cmd.SysProcAttr = &attr
	var p *Process
	err := onThread(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		err := awaitTrap(cmd.Process.Pid)
		if err == nil {
			p, err = patched(cmd.Process.Pid, s)
		}
		if err == nil {
			err = ptrace(unix.PTRACE_DETACH, cmd.Process.Pid, 0, 0)
		}
		if err != nil {
			return abandon(cmd, err)
		}
		return nil
	})
	return p, err
}

// awaitTrap waits until a new child has executed its program. Signals that come first are passed on.
func awaitTrap(pid int) error {
	for ; ; pause(stopPoll) {
		why, ok, err := stopped(pid)
		if err != nil {
			return err
		}
		if ok && why.signal == unix.SIGTRAP {
			return nil
		}
		if ok {
			if err := why.resume(unix.PTRACE_CONT, pid); err != nil {
				return err
			}
		}
		if lives, err := alive(pid, pid); err != nil || !lives {
			return errors.Join(err, fmt.Errorf("process %d: %w", pid, ErrGone))
		}
	}
}

// abandon ends a command that must not run.
func abandon(cmd *exec.Cmd, why error) error {
	if err := cmd.Process.Kill(); err != nil {
		return errors.Join(why, err)
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) { // it was killed
			return errors.Join(why, err)
		}
	}
	return why
}

// patched opens a process that stands at its exec, and sets its clocks.
func patched(pid int, s Setting) (*Process, error) {
	p, err := Open(pid)
	if err != nil || s == (Setting{}) {
		return p, err
	}
	if err := p.install(s); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

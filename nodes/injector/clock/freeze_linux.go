package clock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stopPatience  = 12 * time.Second // for all threads to stop: one in a slow fsync stops after it
	stopPoll      = 20 * time.Microsecond
	dodgePatience = 3 * time.Second  // with a thread where bytes are to change: a busy machine may not have it run for long
	dodge         = time.Millisecond // for which a process is let go first, and then longer each time
	longestDodge  = 20 * time.Millisecond
)

var errInTheWay = errors.New("a thread is where code is to change")

// frozen calls f while all threads of a process are stopped, and none of them meets one of the
// dangers. The process goes on as before: stopped if it was, and with
// the signals that were on their way.
func frozen(pid int, mem *os.File, d dangers, f func() error) error {
	pause := dodge
	for began := time.Now(); time.Since(began) < dodgePatience; {
		err := onThread(func() error {
			z := freeze{pid: pid, held: map[int]stop{}}
			err := z.stop()
			if err == nil {
				err = z.clear(mem, d)
			}
			if err == nil {
				err = f()
			}
			return errors.Join(err, z.thaw())
		})
		if !errors.Is(err, errInTheWay) {
			return err
		}
		time.Sleep(pause)
		pause = min(pause*5/4, longestDodge)
	}
	return fmt.Errorf("process %d: %w, still after %v: is it paused there? let it go on", pid, errInTheWay, dodgePatience)
}

// freeze is the threads of a process that this thread has stopped.
type freeze struct {
	pid  int
	held map[int]stop
}

// stop stops all threads, also those that start meanwhile: once a full list has nobody who is
// not stopped, there is nobody left to start another.
func (z freeze) stop() error {
	for deadline := time.Now().Add(stopPatience); ; {
		tids, err := tasks(z.pid)
		if err != nil {
			return denied(z.pid, err)
		}
		if len(tids) == 0 {
			return fmt.Errorf("process %d: %w", z.pid, ErrGone)
		}
		fresh := false
		for _, tid := range tids {
			if _, ok := z.held[tid]; ok {
				continue
			}
			fresh = true
			if err := z.hold(tid, deadline); err != nil {
				return err
			}
		}
		if !fresh {
			return nil
		}
	}
}

// hold stops one thread, unless it ends.
func (z freeze) hold(tid int, deadline time.Time) error {
	err := ptrace(unix.PTRACE_SEIZE, tid, 0, 0)
	if err == nil {
		err = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		if lives, statErr := alive(z.pid, tid); statErr == nil && !lives {
			return nil // whoever has ended may not be traced
		}
		return denied(z.pid, err)
	}
	for {
		why, ok, err := stopped(tid)
		if err != nil {
			return err
		}
		if ok {
			z.held[tid] = why
			return nil
		}
		lives, err := alive(z.pid, tid)
		if err != nil || !lives {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d: thread %d has not stopped in %v", z.pid, tid, stopPatience)
		}
		pause(stopPoll)
	}
}

func (z freeze) thaw() error {
	var errs []error
	for tid, why := range z.held {
		if err := why.resume(unix.PTRACE_DETACH, tid); err != nil {
			errs = append(errs, fmt.Errorf("letting thread %d go: %w", tid, err))
		}
	}
	return errors.Join(errs...)
}

// deepest is how much of a stack is searched. The frame of a signal is at the top of the
// stack that its handler runs on.
const deepest = 64 << 10

// dangers are a vDSO, and the sites in it where bytes are to change.
type dangers struct {
	vdso  span
	sites []span
}

// met reports whether a thread executes at a site, or will when it returns from a call or from a signal's handler: in
// the vDSO any word of its stack may be a return address. A vDSO calls nobody outside. So what a thread that executes
// elsewhere has of a vDSO's addresses is left over from calls that have returned, in room of later frames that is not
// written to, and is there as long as the thread sleeps; unless a signal came within the vDSO, whose frame has the address.
func (d dangers) met(pc uint64, stack []uint64) bool {
	at := func(address uint64) bool {
		return slices.ContainsFunc(d.sites, func(s span) bool { return s.has(address) })
	}
	within := d.vdso.has(pc)
	for i := 0; i < len(stack) && !within; i++ {
		within = d.vdso.has(stack[i]) && followsPC(stack[i+1:])
	}
	return at(pc) || within && slices.ContainsFunc(stack, at)
}

// clear errs with errInTheWay if a thread meets a danger.
func (z freeze) clear(mem *os.File, d dangers) error {
	if len(d.sites) == 0 {
		return nil
	}
	stack := make([]byte, deepest)
	for tid := range z.held {
		var regs unix.PtraceRegs
		if err := unix.PtraceGetRegs(tid, &regs); err != nil {
			if errors.Is(err, unix.ESRCH) { // killed meanwhile
				continue
			}
			return fmt.Errorf("registers of thread %d: %w", tid, err)
		}
		n, err := mem.ReadAt(stack, int64(stackPointer(&regs)&^7))
		if n == 0 && err != nil {
			return fmt.Errorf("stack of thread %d: %w", tid, err)
		}
		words := make([]uint64, n/8)
		for i := range words {
			words[i] = binary.LittleEndian.Uint64(stack[8*i:])
		}
		if d.met(regs.PC(), words) {
			return errInTheWay
		}
	}
	return nil
}

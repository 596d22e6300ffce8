package clock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
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

// frozen calls f while all threads of a process are stopped, none of them in one of the
// spans of addresses of its vDSO. The process goes on as before: stopped if it was, and with
// the signals that were on their way.
func frozen(pid int, mem *os.File, vdso span, spans []span, f func() error) error {
	pause := dodge
	for began := time.Now(); time.Since(began) < dodgePatience; {
		err := onThread(func() error {
			z := freeze{pid: pid, held: map[int]stop{}}
			err := z.stop()
			if err == nil {
				err = z.clear(mem, vdso, spans)
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

// clear errs with errInTheWay if a thread executes within a span, or will when it returns from a
// signal's handler or a call.
//
// The vDSO calls nothing but itself. So a thread that is neither in it nor in the handler of a signal that came while it was
// never returns there, whatever the words of its stack look like: an idle thread of a Go program may have
// an old return address in a slot that nobody has written since, and would be in the way for as long as it idles.
func (z freeze) clear(mem *os.File, vdso span, spans []span) error {
	if len(spans) == 0 {
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
		if within(spans, regs.PC()) {
			return errInTheWay
		}
		n, err := mem.ReadAt(stack, int64(stackPointer(&regs)&^7))
		if n == 0 && err != nil {
			return fmt.Errorf("stack of thread %d: %w", tid, err)
		}
		if returns(stack[:n], vdso, spans, regs.PC()) {
			return errInTheWay
		}
	}
	return nil
}

// returns reports whether a thread that executes at pc may return into one of the spans of the vDSO.
func returns(stack []byte, vdso span, spans []span, pc uint64) bool {
	inside, met := within([]span{vdso}, pc), false
	for at := 0; at+8 <= len(stack); at += 8 {
		word := binary.LittleEndian.Uint64(stack[at:])
		met = met || within(spans, word)
		inside = inside || within([]span{vdso}, word) && interrupted(stack, at)
	}
	return inside && met
}

// interrupted reports whether the word at a place of a stack is the instruction at which a signal came: it stands in a
// ucontext, so far behind its flags, a link that is nil, and the base, flags and size of the stack for signals, and right
// behind the stack pointer. Memory that is all zeros is none.
func interrupted(stack []byte, at int) bool {
	frame := at - pcInContext
	if frame < 0 {
		return false // the handler has returned, and its context was popped
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(stack[frame+i:]) }
	const mostFlags, mostSignalStack, leastPointer = 1 << 8, 1 << 30, 1 << 16
	pointer := word(pcInContext - 8)
	return word(0) < mostFlags && word(8) == 0 && word(32) < mostSignalStack && pointer >= leastPointer && pointer%8 == 0
}

func within(spans []span, address uint64) bool {
	for _, s := range spans {
		if address >= s.first && address <= s.last {
			return true
		}
	}
	return false
}

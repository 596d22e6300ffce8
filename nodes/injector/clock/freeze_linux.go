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
// spans of addresses. The process goes on as before: stopped if it was, and with
// the signals that were on their way.
func frozen(pid int, mem *os.File, spans []span, f func() error) error {
	pause := dodge
	for began := time.Now(); time.Since(began) < dodgePatience; {
		err := onThread(func() error {
			z := freeze{pid: pid, held: map[int]stop{}}
			err := z.stop()
			if err == nil {
				err = z.clear(mem, spans)
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
// signal's handler or a call. Any word of its stack may be a return address.
func (z freeze) clear(mem *os.File, spans []span) error {
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
		from := stackPointer(&regs) &^ 7
		n, err := mem.ReadAt(stack, int64(from))
		if n == 0 && err != nil {
			return fmt.Errorf("stack of thread %d: %w", tid, err)
		}
		for at := 0; at+8 <= n; at += 8 {
			if within(spans, binary.LittleEndian.Uint64(stack[at:])) && !leftOver(stack[:n], at, from) {
				return errInTheWay
			}
		}
	}
	return nil
}

// leftOver reports whether the word at a place above a thread's stack pointer lies in a stack for signals that the thread
// is not on: what a handler of an earlier signal, often another thread's, has left there. A Go program
// has those stacks right behind the small ones of its threads, and a thread that idles would be in the way for as long as it does.
//
// Such a stack is known by the frame of its signal, a ucontext, which says where the stack is: flags, a link that is
// nil, and the stack's base, flags and size, and which lies on that stack.
func leftOver(stack []byte, at int, pointer uint64) bool {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(stack[i:]) }
	place := pointer + uint64(at)
	for i := 0; i+40 <= len(stack); i += 8 {
		base, size := word(i+16), word(i+32)
		on := func(address uint64) bool { return address >= base && address-base < size }
		if word(i) < 1<<8 && word(i+8) == 0 && size >= leastSignalStack && size <= mostSignalStack &&
			on(pointer+uint64(i)) && on(place) && !on(pointer) {
			return true
		}
	}
	return false
}

// Sizes of stacks for signals: the kernel's least, and far more than any program has.
const leastSignalStack, mostSignalStack = 2 << 10, 1 << 20

func within(spans []span, address uint64) bool {
	for _, s := range spans {
		if address >= s.first && address <= s.last {
			return true
		}
	}
	return false
}

package clock

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is one thread of the operating system that carries out calls: to ptrace a traced
// thread answers only the very thread that traces it. When the thread ends, the kernel
// lets go whatever it still traces (exit_ptrace, kernel/ptrace.c).
type thread struct {
	calls chan func()
	tid   int
}

func newThread() thread {
	t := thread{calls: make(chan func())}
	tid := make(chan int)
	go serve(t.calls, tid)
	t.tid = <-tid
	return t
}

// serve carries out calls on a thread of its own, which ends with it as it is never
// unlocked. Only the main thread would not end (mexit, runtime/proc.go): on that one serve goes
// on elsewhere, and is elsewhere as long as this one keeps the main thread.
func serve(calls chan func(), tid chan int) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		elsewhere := make(chan int)
		go serve(calls, elsewhere)
		tid <- <-elsewhere
		return
	}
	tid <- unix.Gettid()
	for call := range calls {
		call()
	}
}

func (t thread) do(f func() error) error {
	err := make(chan error)
	t.calls <- func() { err <- f() }
	return <-err
}

// end returns when the thread has ended, so that nothing is traced by it any more.
func (t thread) end() {
	close(t.calls)
	for {
		err := unix.Tgkill(unix.Getpid(), t.tid, 0)
		if errors.Is(err, unix.ESRCH) {
			return
		}
		pause(stopPoll)
	}
}

// onThread carries out one call.
func onThread(f func() error) error {
	t := newThread()
	defer t.end()
	return t.do(f)
}

// pause sleeps like time.Sleep, which may take a millisecond for less when nothing else
// is to be done: too long for who holds up a process. A signal may end it early, which does no harm
// to whoever asks again and again.
func pause(d time.Duration) {
	short := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&short, nil)
}

// ptrace calls ptrace(2). What package unix offers lacks the options of PTRACE_SEIZE and
// the signal of PTRACE_DETACH.
func ptrace(request, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// stop is why a traced thread has stopped: for an event (PTRACE_EVENT_*), or, if event is
// 0, because a signal is being delivered to it.
type stop struct {
	signal unix.Signal
	event  int
}

// stopped asks why a thread has stopped, and whether it has at all. It takes nothing
// away from wait, and needs nothing from it. Of an event the number is in the second byte
// of si_code (ptrace_do_notify, kernel/signal.c).
func stopped(tid int) (stop, bool, error) {
	var info unix.Siginfo
	err := ptrace(unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(&info)))
	switch {
	case errors.Is(err, unix.ESRCH): // it runs, or is gone
		return stop{}, false, nil
	case err != nil:
		return stop{}, false, fmt.Errorf("why thread %d has stopped: %w", tid, err)
	}
	why := stop{signal: unix.Signal(info.Signo)}
	if info.Code > 0 {
		why.event = int(info.Code) >> 8
	}
	return why, true, nil
}

// paused reports whether the thread has stopped with all of its process, as by SIGSTOP.
func (s stop) paused() bool { return s.event == unix.PTRACE_EVENT_STOP && s.signal != unix.SIGTRAP }

// resume lets a stopped thread go on, with the signal that it was about to get. The request is
// PTRACE_CONT or PTRACE_DETACH, or PTRACE_LISTEN for a paused thread to stay so.
func (s stop) resume(request, tid int) error {
	signal := s.signal
	if s.event != 0 {
		signal = 0
	}
	err := ptrace(request, tid, 0, uintptr(signal))
	if errors.Is(err, unix.ESRCH) { // killed meanwhile
		return nil
	}
	return err
}

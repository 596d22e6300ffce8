// Package clock makes the clocks of another process wrong, without that process's help.
//
// It works on one process, of any language, static or dynamic, by changing that process's
// vDSO: the page of code that the kernel maps into every process so that it can tell the
// time without a system call. The other processes of the machine keep their clocks.
//
//	now, err := clock.Now()
//	p, err := clock.Open(pid)
//	err = p.Set(clock.Setting{Clock: faults.Clock{Offset: time.Hour, Drift: 0.1}, Since: now})
//	seen, err := p.Read()      // what the process is shown: seen.Wall is 1h and a little
//	err = p.Set(clock.Setting{})  // healed
//
// An exec discards the patch, with the memory that it was in. So that a process's first
// reading is wrong already, patch it at its exec: Start does so for a command of one's
// own, Catch for a process that is about to execute something.
//
// # What is reached
//
// Every call of clock_gettime, gettimeofday and time through the vDSO, which is how Go's runtime
// and the C libraries, and with them nearly everybody, ask the time. CLOCK_REALTIME, its
// COARSE and ALARM kin and CLOCK_TAI are the wall clock; CLOCK_MONOTONIC, its COARSE and
// RAW kin and CLOCK_BOOTTIME are the monotonic one. Children made by fork inherit the
// clocks until they exec. clock_getres and the clocks of CPU time are left alone.
//
// # What is not
//
//   - The system calls themselves, if a program makes them without the vDSO.
//   - Timers, sleeps and timeouts: the kernel waits by its own clocks. Go and most
//     programs wait relatively, so they wait as long as ever. Who waits for a moment of the
//     wall clock (TFD_TIMER_ABSTIME, sem_timedwait, pthread_cond_timedwait) computes it from the
//     wrong clock and waits by the right one: an hour longer if the clock is an hour ahead.
//   - What the kernel stamps: times of files, of packets, of processes.
//   - What a process executes afterwards, and children after their own exec.
//   - Processes that fork by vfork or share memory in other ways without being threads are
//     not stopped where this package says that it stops a process.
//
// # The monotonic clock
//
// Changing it (Monotonic, Forward) is for who asks for it: a program that sleeps to an
// absolute moment of its monotonic clock can hang for as long as that clock is ahead.
// It never steps back, neither under changes nor when they end: what a process's
// clock has gained it keeps, as an offset, until the process ends. A restarted process
// begins without. Monotonic counts from when it is set, Forward moves once: setting the
// same Forward again moves nothing, a larger one than the last moves by the difference, a smaller one not
// at all.
//
// # How
//
// The vDSO's last page has a free end (0.7 to 3.5 KiB in kernels that were looked at; where the end is too short, what follows the
// loaded segment, which only debuggers read, serves). There goes the payload: 650 to 700
// bytes of code and data from payload/*.S. The first bytes of each entry become a jump to
// it. The payload asks the kernel for the true time by a system call, and adds.
// What it adds stands in two banks of parameters and a generation that says which one
// holds. Set writes the other bank and then the generation, while the process runs; the
// payload begins again if the generation changed while it was at work. All is written
// through /proc/PID/mem, which copies private pages, and which on arm64 also flushes the
// instruction cache (copy_to_user_page, arch/arm64/mm/flush.c).
//
// Set stops the process, for a millisecond or a few, in two cases only: to write the
// entries when it was not patched at its exec, and to slow its monotonic clock down,
// where a late change would be a step back. Restore stops it to write the entries back. A thread
// is never stopped where bytes change under it: neither its program counter nor its stack
// (a signal's frame) may point into them; otherwise it goes on for a moment first.
//
// A stop can end a wait of the process early, as SIGSTOP can (EINTR, signal(7)).
//
// All arithmetic is in nanoseconds, rates have 48 bits of
// fraction: an error under 1 ns a day. The drift of the wall clock is counted by the wall
// clock, anchored at Since: where the machine's own wall clock is stepped, the step drifts too.
//
// Measured on one virtual machine: a reading costs a process 245 ns, of which nearly all
// is the system call, against 24 unpatched; a Set 35 µs, a Read 58 µs; the patch at an exec
// 0.3 ms; stopping a Go process of six idle threads, patching and letting it go 1 ms; stopping
// one of eight threads that fill both processors 2 to 10 ms.
//
// # What is needed
//
// Linux on amd64 or arm64, and a 64-bit process of the same kind. The right to trace the
// process, which is the right to write its memory: the same uid, and it has not made itself
// undumpable, or else CAP_SYS_PTRACE in its user namespace. Under Yama
// (kernel.yama.ptrace_scope) 1 one may trace only descendants without CAP_SYS_PTRACE; 2
// demands it always; 3 forbids all. no-new-privs forbids nothing here. A program that
// gains rights by its exec (setuid, file capabilities) does not gain them under Start
// and Catch, unless the tracer has CAP_SYS_PTRACE. Kernels from 6.12 may be built or booted so that
// even who may trace may not write code (proc_mem.force_override). A seccomp filter
// of the process must allow clock_gettime, as a process that was patched makes that call.
//
// # Whoever waits for children
//
// A process that ptrace has stopped is told to its parent's wait, and if the tracer
// is in the same process as the parent the kernel tells it whatever flags wait has
// (wait_task_stopped, kernel/exit.c). This package does not wait for processes: it asks by
// ptrace itself whether a thread has stopped, so nobody can take the answer away. In return a parent
// in the same process must not mistake a stop for an end. Package injector's Reap passes stops
// over; os.Process.Wait does not: call it after Exec has returned, and not
// while Open's Set or Restore may stop the process.
package clock

import (
	"errors"
	"fmt"
	"time"

	"faultline/nodes/faults"
)

// Setting is what a process's clocks show, and from when on. The zero value is the truth.
type Setting struct {
	faults.Clock
	Since time.Duration `json:"since_ns,omitempty"` // a moment of the true CLOCK_MONOTONIC, from which Drift and Strobe count: see Now
}

// What a Setting may ask for, so that no sum of nanoseconds leaves 64 bits: the longest offset
// and strobe, and the fastest drift for 500 days, are under 292 years.
const (
	year       = 365 * 24 * time.Hour
	maxOffset  = 100 * year
	maxStrobe  = 10 * year
	maxForward = 10 * year
	maxRate    = 100 // s/s
)

// Check says what is wrong with a setting.
func (s Setting) Check() error {
	switch {
	case s.Offset < -maxOffset || s.Offset > maxOffset:
		return fmt.Errorf("an offset of %v: want at most 100 years either way", s.Offset)
	case !(s.Drift > -1 && s.Drift <= maxRate):
		return fmt.Errorf("a drift of %v s/s: want more than -1 and at most %d", s.Drift, maxRate)
	case s.Strobe < -maxStrobe || s.Strobe > maxStrobe:
		return fmt.Errorf("a strobe of %v: want at most 10 years either way", s.Strobe)
	case s.Period < 0 || (s.Strobe != 0) != (s.Period != 0):
		return fmt.Errorf("a strobe of %v with a period of %v: want both, or neither", s.Strobe, s.Period)
	case !(s.Monotonic > -1 && s.Monotonic <= maxRate):
		return fmt.Errorf("a monotonic drift of %v s/s: want more than -1 and at most %d", s.Monotonic, maxRate)
	case s.Forward < 0 || s.Forward > maxForward:
		return fmt.Errorf("a monotonic clock %v forward: want 0 to 10 years, as it never steps back", s.Forward)
	case s.Since < 0 || s.Since == 0 && (s.Drift != 0 || s.Strobe != 0):
		return fmt.Errorf("drift and strobe since %v: want the moment of CLOCK_MONOTONIC from which they count", s.Since)
	}
	return nil
}

// Reading is what the clocks of a process show, against the truth.
type Reading struct {
	At        time.Duration `json:"at_ns"`        // true CLOCK_MONOTONIC, when Monotonic was read
	WallAt    time.Duration `json:"wall_at_ns"`   // true CLOCK_REALTIME, when Wall was read; 0 if not patched
	Wall      time.Duration `json:"wall_ns"`      // how far the wall clock is ahead
	Monotonic time.Duration `json:"monotonic_ns"` // how far the monotonic clock is ahead
	Within    time.Duration `json:"within_ns"`    // how far off Wall and Monotonic may be
	Patched   bool          `json:"patched"`      // otherwise the process executes the kernel's own vDSO, and the offsets are 0
}

// Look is how far the wall clock of a process is ahead at one moment.
type Look struct {
	At     time.Duration // of the true CLOCK_MONOTONIC
	Wall   time.Duration // how far the wall clock is ahead
	Within time.Duration // how far off both may be
}

// ErrGone is that the process has ended, or has executed another program since.
var ErrGone = errors.New("the process has ended, or has executed another program")

// ErrGained is that the monotonic clock of a process cannot be given back.
var ErrGained = errors.New("its monotonic clock is ahead, and must not step back: it stays so until the process is restarted")

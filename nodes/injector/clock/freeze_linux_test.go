//go:build amd64 || arm64

package clock

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What a thread has of a vDSO on its stack counts only while it is in there, itself or below a signal's handler.
func TestWhoMeetsADanger(t *testing.T) {
	const site, beside, elsewhere = 0x7f0000000c10, 0x7f0000000800, 0x48a003
	d := dangers{vdso: span{0x7f0000000000, 0x7f0000001fff}, sites: []span{{0x7f0000000c00, 0x7f0000000c20}}}
	flags := map[bool]uint64{true: 0x246, false: 0x60000000}[runtime.GOARCH == "amd64"]
	for name, c := range map[string]struct {
		pc    uint64
		stack []uint64
		met   bool
	}{
		"it executes there":                       {site, nil, true},
		"in the vDSO, it returns there":           {beside, []uint64{7, site}, true},
		"in the vDSO, but not there":              {beside, []uint64{7, beside}, false},
		"left over from a call":                   {elsewhere, []uint64{7, site, 0xc000012345, 7}, false},
		"a signal came there":                     {elsewhere, []uint64{7, site, flags, 0x2b000000000033}, true},
		"a signal came beside, and that returns":  {elsewhere, []uint64{7, beside, flags, 0x2b000000000033, 7, site}, true},
		"a signal came beside":                    {elsewhere, []uint64{7, beside, flags, 0x2b000000000033, 7}, false},
		"a signal came elsewhere":                 {elsewhere, []uint64{7, elsewhere, flags, 0x2b000000000033, site, 1 << 40, 0}, false},
		"the stack is seen up to where one came":  {elsewhere, []uint64{7, site}, true},
		"outside, and nothing is on the stack":    {elsewhere, nil, false},
		"behind the vDSO is not in it":            {d.vdso.last + 1, []uint64{7, site, 1 << 40, 0}, false},
		"its last byte is, and its first as well": {d.vdso.last, []uint64{d.vdso.first, site}, true},
	} {
		require.Equal(t, c.met, d.met(c.pc, c.stack), name)
	}
}

// A thread of a real process that a signal interrupts at a site meets the danger from within the handler.
func TestASignalThatCameAtASite(t *testing.T) {
	needsTracing(t)
	c, p := running(t, self("busy"))
	c.line(t)
	d := p.patch.dangers(p.start)
	var pcs []uint64
	var met []error
	require.NoError(t, onThread(func() error {
		tid, err := holdInUserCode(p.pid)
		if err != nil {
			return err
		}
		one := freeze{pid: p.pid, held: map[int]stop{tid: {}}}
		var regs unix.PtraceRegs
		look := func() error {
			err := unix.PtraceGetRegs(tid, &regs)
			pcs, met = append(pcs, regs.PC()), append(met, one.clear(p.mem, d))
			return err
		}
		if err := unix.PtraceGetRegs(tid, &regs); err != nil {
			return err
		}
		regs.SetPC(d.sites[0].first)
		err = errors.Join(unix.PtraceSetRegs(tid, &regs), look(), unix.Tgkill(p.pid, tid, unix.SIGURG),
			ptrace(unix.PTRACE_CONT, tid, 0, 0), untilStopped(tid), // before the signal is delivered
			ptrace(unix.PTRACE_SINGLESTEP, tid, 0, uintptr(unix.SIGURG)), untilStopped(tid)) // at the first instruction of the handler
		return errors.Join(err, look(), c.Process.Kill()) // before it goes on
	}))
	require.Equal(t, d.sites[0].first, pcs[0])
	require.ErrorIs(t, met[0], errInTheWay, "it is there itself")
	require.False(t, d.vdso.has(pcs[1]), "it is in the handler")
	require.ErrorIs(t, met[1], errInTheWay, "it will be there when that returns")
}

func untilStopped(tid int) error {
	for began := time.Now(); time.Since(began) < 20*time.Second; pause(stopPoll) {
		if _, ok, err := stopped(tid); ok || err != nil {
			return err
		}
	}
	return errors.New("it does not stop")
}

// holdInUserCode stops all threads of a process when one of them is in no system call (proc_pid_syscall(5)): that one.
func holdInUserCode(pid int) (tid int, err error) {
	for began := time.Now(); time.Since(began) < 20*time.Second; pause(time.Millisecond) {
		z := freeze{pid: pid, held: map[int]stop{}}
		if err := z.stop(); err != nil {
			return 0, err
		}
		for tid := range z.held {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
			if err != nil || strings.HasPrefix(string(text), "-") {
				return tid, err
			}
		}
		if err := z.thaw(); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("all of its threads are in system calls")
}

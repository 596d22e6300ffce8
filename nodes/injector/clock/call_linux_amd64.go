package clock

import "golang.org/x/sys/unix"

// call calls a C function of two arguments, on this goroutine's stack.
//
//go:noescape
func call(function, a, b uintptr) uintptr

// followsPC reports whether words may be what follows the address that a signal has interrupted, in the frame of its
// handler: EFLAGS, of which bit 1 is always set, and CS, of a user (struct sigcontext_64,
// arch/x86/include/uapi/asm/sigcontext.h).
func followsPC(words []uint64) bool {
	return len(words) < 2 || words[0]&2 != 0 && words[0]>>32 == 0 && words[1]&3 == 3
}

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Rsp }

package clock

import "golang.org/x/sys/unix"

// call calls a C function of two arguments, on this goroutine's stack.
//
//go:noescape
func call(function, a, b uintptr) uintptr

// followsPC reports whether words may be what follows the address that a signal has interrupted, in the frame of its
// handler: PSTATE, in a user's mode of AArch64 (struct sigcontext, arch/arm64/include/uapi/asm/sigcontext.h).
func followsPC(words []uint64) bool {
	const mode = 0x1f
	return len(words) < 1 || words[0]&mode == 0 && words[0]>>32 == 0
}

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Sp }

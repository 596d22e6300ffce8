package clock

import "golang.org/x/sys/unix"

// call calls a C function of two arguments, on this goroutine's stack.
//
//go:noescape
func call(function, a, b uintptr) uintptr

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Sp }

// pcInContext is where in a ucontext the kernel keeps the instruction pointer of what a signal interrupted.
const pcInContext = 440

#include "textflag.h"

// func call(function, a, b uintptr) uintptr
//
// The payload uses less than 100 bytes of stack, within what NOSPLIT leaves.
TEXT ·call(SB), NOSPLIT, $0-32
	MOVQ function+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	CALL AX
	MOVQ AX, ret+24(FP)
	RET

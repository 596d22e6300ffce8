#include "textflag.h"

// func call(function, a, b uintptr) uintptr
//
// The payload uses less than 100 bytes of stack, within what NOSPLIT leaves.
TEXT ·call(SB), NOSPLIT, $0-32
	MOVD function+0(FP), R9
	MOVD a+8(FP), R0
	MOVD b+16(FP), R1
	BL (R9)
	MOVD R0, ret+24(FP)
	RET

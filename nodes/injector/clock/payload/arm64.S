/*
 * What a process executes in place of its vDSO's clock_gettime and gettimeofday: see
 * amd64.S, of which this is the translation. C calling convention of AAPCS64; only
 * registers that a caller saves are touched. The pages may be guarded (BTI): the entries
 * that lead here begin with the landing pad, and come by a direct branch.
 */
	.text

	.set GENERATION, 8
	.set BANKS, 32
	.set BANK_SIZE, 144
	.set ROWS, 64		/* in a bank: of 16 bytes, anchor and offset */
	.set MONOTONIC, 32	/* in a bank: the rates of rows 2 to 4; of rows 0 and 1 at 0 */
	.set SYS_clock_gettime, 113
	.set SYS_gettimeofday, 169

header:
	.ascii	"FLclock1"
	.quad	0				/* generation: its lowest bit is the bank */
	.long	clock_gettime - header
	.long	gettimeofday - header
	.long	0				/* no time here */
	.long	end - header
	.zero	2 * BANK_SIZE
rows:	/* of the clocks 0 to 11; 255: left alone */
	.byte	0, 2, 255, 255, 3, 0, 2, 4, 0, 4, 255, 1
	.zero	4

	.balign	16, 0
clock_gettime:	/* w0: clock id, x1: struct timespec * */
	cmp	w0, #11
	b.hi	plain
	adr	x9, rows
	ldrb	w9, [x9, w0, uxtw]		/* w9: row */
	cmp	w9, #255
	b.eq	plain
	adr	x10, header + GENERATION
	mov	w11, w0
retry:
	ldar	x12, [x10]
	mov	w0, w11
	mov	x8, #SYS_clock_gettime
	svc	#0
	cbnz	w0, out

	adr	x13, header + BANKS		/* x13: bank, x14: rates of the row's family */
	mov	w15, #BANK_SIZE
	and	w16, w12, #1
	madd	x13, x16, x15, x13
	add	x14, x13, #MONOTONIC
	cmp	w9, #2
	csel	x14, x13, x14, lo
	add	x13, x13, #ROWS			/* x13: row */
	add	x13, x13, x9, lsl #4

	ldp	x2, x3, [x1]			/* x2: tv_sec, x3: tv_nsec */
	ldp	x4, x5, [x13]			/* x4: anchor, x5: offset */
	ldp	x6, x7, [x14]			/* x6: rate before the anchor, x7: from it on */
	ldp	x15, x16, [x14, #16]		/* x15: strobe, x16: its period */
	mov	w17, #0xca00			/* 1000000000 */
	movk	w17, #0x3b9a, lsl #16
	madd	x8, x2, x17, x3
	subs	x8, x8, x4			/* x8: ns since the anchor */
	csel	x6, x6, x7, mi
	mul	x7, x8, x6			/* 128 bits, of which 48 are the fraction */
	smulh	x6, x8, x6
	extr	x7, x6, x7, #48
	add	x5, x5, x7
	cbz	x16, shown
	tbnz	x8, #63, shown
	udiv	x8, x8, x16
	tbnz	x8, #0, shown
	add	x5, x5, x15
shown:
	dmb	ishld
	ldr	x8, [x10]
	cmp	x8, x12
	b.ne	retry

	add	x5, x5, x3			/* tv_nsec, plus what is added, split again */
	sdiv	x6, x5, x17
	msub	x5, x6, x17, x5
	tbz	x5, #63, split
	add	x5, x5, x17
	sub	x6, x6, #1
split:
	add	x2, x2, x6
	stp	x2, x5, [x1]
out:
	ret
plain:
	mov	x8, #SYS_clock_gettime
	svc	#0
	ret

gettimeofday:	/* x0: struct timeval * or 0, x1: struct timezone * or 0 */
	cbz	x1, zoned
	mov	x2, x0
	mov	x0, #0
	mov	x8, #SYS_gettimeofday
	svc	#0
	cbnz	w0, out
	mov	x0, x2
zoned:
	cbnz	x0, timed
	ret
timed:
	sub	sp, sp, #32
	stp	x0, x30, [sp, #16]
	mov	w0, #0				/* CLOCK_REALTIME */
	mov	x1, sp
	bl	clock_gettime
	ldp	x2, x30, [sp, #16]
	cbnz	w0, done
	ldp	x3, x4, [sp]
	mov	w5, #1000
	udiv	x4, x4, x5
	stp	x3, x4, [x2]
done:
	add	sp, sp, #32
	ret
end:

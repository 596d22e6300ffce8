/*
 * What a process executes in place of its vDSO's clock_gettime, gettimeofday and time.
 * Package clock documents the layout of the header and of the banks; parambank.go has it in Go.
 *
 * Position independent, no relocation, nothing written to but the caller's memory, true
 * time by the system call alone: a copy of it works anywhere. C calling convention of the
 * System V ABI; only registers that a caller saves are touched. make payload assembles it.
 */
	.intel_syntax noprefix
	.text

	.set GENERATION, 8
	.set BANKS, 32
	.set BANK_SIZE, 144
	.set ROWS, 64		/* in a bank: of 16 bytes, anchor and offset */
	.set MONOTONIC, 32	/* in a bank: the rates of rows 2 to 4; of rows 0 and 1 at 0 */
	.set SYS_gettimeofday, 96
	.set SYS_clock_gettime, 228

header:
	.ascii	"FLclock1"
	.quad	0				/* generation: its lowest bit is the bank */
	.long	clock_gettime - header
	.long	gettimeofday - header
	.long	time - header
	.long	end - header
	.zero	2 * BANK_SIZE
rows:	/* of the clocks 0 to 11; 255: left alone */
	.byte	0, 2, 255, 255, 3, 0, 2, 4, 0, 4, 255, 1
	.zero	4

	.balign	16, 0
clock_gettime:	/* edi: clock id, rsi: struct timespec * */
	cmp	edi, 11
	ja	plain
	mov	eax, edi
	lea	rdx, [rip + rows]
	movzx	r8d, byte ptr [rdx + rax]
	cmp	r8d, 255
	je	plain
retry:
	mov	r10, [rip + header + GENERATION]
	mov	eax, SYS_clock_gettime
	syscall
	test	eax, eax
	jnz	out

	mov	ecx, r10d			/* rcx: bank, then row; r9: rates of the row's family */
	and	ecx, 1
	imul	ecx, ecx, BANK_SIZE
	lea	rdx, [rip + header + BANKS]
	add	rcx, rdx
	mov	r9, rcx
	cmp	r8d, 2
	jb	wall
	add	r9, MONOTONIC
wall:
	mov	eax, r8d
	shl	eax, 4
	lea	rcx, [rcx + rax + ROWS]

	imul	r11, [rsi], 1000000000		/* r11: ns since the anchor */
	add	r11, [rsi + 8]
	sub	r11, [rcx]
	mov	rax, [r9 + 8]			/* rate from the anchor on */
	jns	rated
	mov	rax, [r9]			/* and before it */
rated:
	imul	r11				/* 128 bits, of which 48 are the fraction */
	shrd	rax, rdx, 48
	add	rax, [rcx + 8]
	mov	rcx, [r9 + 24]			/* period of the strobe */
	test	rcx, rcx
	jz	shown
	test	r11, r11
	js	shown
	xchg	rax, r11
	xor	edx, edx
	div	rcx
	xchg	rax, r11
	test	r11b, 1
	jnz	shown
	add	rax, [r9 + 16]
shown:
	cmp	r10, [rip + header + GENERATION]
	jne	retry

	add	rax, [rsi + 8]			/* tv_nsec, plus what is added, split again */
	mov	ecx, 1000000000
	cqo
	idiv	rcx
	test	rdx, rdx
	jns	split
	add	rdx, rcx
	dec	rax
split:
	add	[rsi], rax
	mov	[rsi + 8], rdx
	xor	eax, eax
out:
	ret
plain:
	mov	eax, SYS_clock_gettime
	syscall
	ret

gettimeofday:	/* rdi: struct timeval * or 0, rsi: struct timezone * or 0 */
	test	rsi, rsi
	jz	zoned
	mov	rdx, rdi
	xor	edi, edi
	mov	eax, SYS_gettimeofday
	syscall
	test	eax, eax
	jnz	out
	mov	rdi, rdx
zoned:
	xor	eax, eax
	test	rdi, rdi
	jz	out
	sub	rsp, 24
	mov	[rsp + 16], rdi
	xor	edi, edi			/* CLOCK_REALTIME */
	mov	rsi, rsp
	call	clock_gettime
	test	eax, eax
	jnz	done
	mov	rdi, [rsp + 16]
	mov	rax, [rsp]
	mov	[rdi], rax
	mov	eax, [rsp + 8]
	xor	edx, edx
	mov	ecx, 1000
	div	ecx
	mov	[rdi + 8], rax
	xor	eax, eax
done:
	add	rsp, 24
	ret

time:	/* rdi: time_t * or 0 */
	sub	rsp, 24
	mov	[rsp + 16], rdi
	mov	edi, 5				/* CLOCK_REALTIME_COARSE, as the kernel's */
	mov	rsi, rsp
	call	clock_gettime
	cdqe
	test	eax, eax
	jnz	done
	mov	rax, [rsp]
	mov	rdi, [rsp + 16]
	test	rdi, rdi
	jz	done
	mov	[rdi], rax
	jmp	done
end:

package clock

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// The frame of a signal at 0x9000 of a stack for signals from 0x8000 on is above a thread's stack pointer.
func TestWhatHandlersLeftIsInNobodysWay(t *testing.T) {
	const base, size, frame = 0x8000, 0x8000, 0x9000
	for _, c := range []struct {
		name           string
		pointer, place uint64
		base, size     uint64
		left           bool
	}{
		{"on another stack, in the frame", 0x7000, 0x90a8, base, size, true},
		{"on another stack, below the frame", 0x7000, 0x8100, base, size, true},
		{"on the stack itself: the handler may return", 0x8800, 0x90a8, base, size, false},
		{"before the stack", 0x7000, 0x7f00, base, size, false},
		{"a frame that is elsewhere", 0x7000, 0x90a8, 0x20000, size, false},
		{"no stack is that small", 0x7000, 0x90a8, 0x8c00, 0x500, false},
		{"or that large", 0x7000, 0x90a8, base, 1 << 30, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			stack := make([]byte, 0xa000-c.pointer)
			for at := range stack {
				stack[at] = 0xff
			}
			put := func(address, word uint64) { binary.LittleEndian.PutUint64(stack[address-c.pointer:], word) }
			for i, word := range []uint64{7, 0, c.base, 0, c.size} {
				put(frame+8*uint64(i), word)
			}
			require.Equal(t, c.left, leftOver(stack, int(c.place-c.pointer), c.pointer))
		})
	}
}

//go:build amd64 || arm64

package clock

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// A word of a stack that looks like a return address is one only for a thread in the vDSO, or in a handler that interrupted it there.
func TestOldReturnAddressesAreInNobodysWay(t *testing.T) {
	vdso, spans := span{0x7000, 0x8fff}, []span{{0x7101, 0x710d}}
	const entry, deep, program = 0x7109, 0x7800, 0x400000
	for _, c := range []struct {
		name    string
		pc      uint64
		words   map[int]uint64 // of the stack, by their places
		returns bool
	}{
		{"a slot that nobody has written since", program, map[int]uint64{64: entry}, false},
		{"a call within the vDSO", deep, map[int]uint64{64: entry}, true},
		{"another function of the vDSO", deep, map[int]uint64{64: 0x7205}, false},
		{"a signal at the entry", program, map[int]uint64{512 + pcInContext: entry}, true},
		{"a signal in a call from the entry", program, map[int]uint64{512 + pcInContext: deep, 4096: entry}, true},
		{"a signal in the program, and an old address", program, map[int]uint64{512 + pcInContext: program, 4096: entry}, false},
		{"what is no context", program, map[int]uint64{512 + 8: 1, 512 + pcInContext: entry}, false},
		{"nor this", program, map[int]uint64{512: 1 << 40, 512 + pcInContext: entry}, false},
		{"zeros before it", program, map[int]uint64{512 + pcInContext - 8: 0, 512 + pcInContext: entry}, false},
		{"no stack pointer", program, map[int]uint64{512 + pcInContext - 8: 0x7fff0003, 512 + pcInContext: entry}, false},
		{"a context that was popped", program, map[int]uint64{pcInContext - 8: entry}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			stack := make([]byte, 8192)
			for at := 0; at < 512; at += 8 { // whatever it is, no context
				binary.LittleEndian.PutUint64(stack[at:], 1<<40)
			}
			for at := 520 + pcInContext; at < len(stack); at += 8 {
				binary.LittleEndian.PutUint64(stack[at:], 1<<40)
			}
			if _, signal := c.words[512+pcInContext]; signal {
				binary.LittleEndian.PutUint64(stack[512+pcInContext-8:], 0x7fff0000)
			}
			for at, word := range c.words {
				binary.LittleEndian.PutUint64(stack[at:], word)
			}
			require.Equal(t, c.returns, returns(stack, vdso, spans, c.pc))
		})
	}
}

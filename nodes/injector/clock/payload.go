package clock

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"fmt"
)

//go:generate make -C payload

//go:embed payload/amd64.bin
var payloadAMD64 []byte

//go:embed payload/arm64.bin
var payloadARM64 []byte

// The payload begins with a header, little-endian, which payload/*.S write down again:
//
//	  0  8 bytes  magic
//	  8  u64      generation; its lowest bit says which bank holds
//	 16  u32      offset of clock_gettime, then of gettimeofday, time, and the end
//	 32  banks, two
//	320  rows, and the code
const (
	magic        = "FLclock1"
	atGeneration = 8
	atOffsets    = 16
	atBanks      = 32
	atRows       = atBanks + 2*bankSize
)

// The functions that are replaced, in the order of the header.
const (
	clockGettime = iota
	gettimeofday
	timeOfDay
	functions
)

// machine is what differs between architectures. Symbol versions do not matter.
type machine struct {
	elf     elf.Machine
	symbols [functions]string // "" where the vDSO has none
	payload []byte
	jump    func(entry []byte, at, to uint64) (skip int, code []byte, err error)
	reached func(text []byte, at, from, to uint64) bool
}

// machines is by GOARCH.
var machines = map[string]machine{
	"amd64": {
		elf:     elf.EM_X86_64,
		symbols: [functions]string{"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"},
		payload: payloadAMD64,
		jump:    jumpAMD64,
		reached: reachedAMD64,
	},
	"arm64": {
		elf:     elf.EM_AARCH64,
		symbols: [functions]string{"__kernel_clock_gettime", "__kernel_gettimeofday", ""},
		payload: payloadARM64,
		jump:    jumpARM64,
		reached: reachedARM64,
	},
}

// target is where in the payload a function is.
func (m machine) target(function int) uint64 {
	return uint64(binary.LittleEndian.Uint32(m.payload[atOffsets+4*function:]))
}

// holds reports whether memory holds the payload, with whatever parameters. It errs if
// it holds another version of it.
func (m machine) holds(memory []byte) (bool, error) {
	same := func(from, to int) bool { return bytes.Equal(memory[from:to], m.payload[from:to]) }
	if !same(0, atGeneration) {
		return false, nil
	}
	if !same(atOffsets, atBanks) || !same(atRows, len(m.payload)) {
		return false, fmt.Errorf("its clocks were patched by another version of this program: restart the process, or use that version")
	}
	return true, nil
}

// generation is that of a payload in memory, with the bank that holds.
func generation(memory []byte) (uint64, paramBank) {
	g := binary.LittleEndian.Uint64(memory[atGeneration:])
	return g, decode(memory[atBank(g):])
}

// atBank is where in the payload the bank of a generation is.
func atBank(generation uint64) uint64 { return atBanks + generation%2*bankSize }

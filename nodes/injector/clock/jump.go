package clock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// jumpAMD64 is what to write skip bytes behind an entry for a jump (E9, rel32), given the
// bytes there. A landing pad (ENDBR64) stays.
func jumpAMD64(entry []byte, at, to uint64) (skip int, code []byte, err error) {
	const size = 5
	if bytes.HasPrefix(entry, []byte{0xf3, 0x0f, 0x1e, 0xfa}) {
		skip = 4
	}
	distance := int64(to) - int64(at) - int64(skip) - size
	if distance < math.MinInt32 || distance > math.MaxInt32 {
		return 0, nil, fmt.Errorf("a jump over %d bytes", distance)
	}
	return skip, binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(distance)), nil
}

// jumpARM64 is BTI C, since these pages may be guarded and the entry is called indirectly,
// and B with a signed word distance of 26 bits (Arm ARM, C6.2).
func jumpARM64(_ []byte, at, to uint64) (skip int, code []byte, err error) {
	const bti, b = 0xd503245f, 0x14000000
	words := (int64(to) - int64(at) - 4) / 4
	if (to-at)%4 != 0 || words < -1<<25 || words >= 1<<25 {
		return 0, nil, fmt.Errorf("a branch from %#x to %#x", at, to)
	}
	code = binary.LittleEndian.AppendUint32(code, bti)
	return 0, binary.LittleEndian.AppendUint32(code, b|uint32(words)&(1<<26-1)), nil
}

// reachedAMD64 reports whether a branch in text, which begins at an address, may lead to
// an address above from and below to. Instructions are not told apart: every byte may begin one
// of the relative branches (Intel SDM, volume 2: 70-7F, E0-E3, EB rel8; E8, E9, 0F 80-8F rel32).
func reachedAMD64(text []byte, at, from, to uint64) bool {
	leads := func(next int, distance int64) bool {
		target := at + uint64(int64(next)+distance)
		return target > from && target < to
	}
	for i, op := range text {
		short := op&0xf0 == 0x70 || op&0xfc == 0xe0 || op == 0xeb
		if short && i+2 <= len(text) && leads(i+2, int64(int8(text[i+1]))) {
			return true
		}
		near := op == 0xe8 || op == 0xe9 || op&0xf0 == 0x80 && i > 0 && text[i-1] == 0x0f
		if near && i+5 <= len(text) && leads(i+5, int64(int32(binary.LittleEndian.Uint32(text[i+1:])))) {
			return true
		}
	}
	return false
}

// reachedARM64 is the same for arm64: B and BL (26 bits), B.cond, CBZ and CBNZ (19), TBZ and
// TBNZ (14), all in words from the instruction itself (Arm ARM, C4.1).
func reachedARM64(text []byte, at, from, to uint64) bool {
	for i := 0; i+4 <= len(text); i += 4 {
		word := binary.LittleEndian.Uint32(text[i:])
		var distance int32
		switch {
		case word&0x7c000000 == 0x14000000:
			distance = int32(word<<6) >> 6
		case word&0xfe000000 == 0x54000000, word&0x7e000000 == 0x34000000:
			distance = int32(word<<8) >> 13
		case word&0x7e000000 == 0x36000000:
			distance = int32(word<<13) >> 18
		default:
			continue
		}
		target := at + uint64(i) + uint64(int64(distance)*4)
		if target > from && target < to {
			return true
		}
	}
	return false
}

//go:build linux

package disk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// dice decides what survives of the unsynced writes of one file; nil: nothing. Each file has its own,
// by its number, so that what one draws does not hang on another.
type dice struct{ *rand.Rand }

func diceOf(torn, number uint64) *dice {
	if torn == 0 {
		return nil
	}
	return &dice{rand.New(rand.NewPCG(torn, number))}
}

// piece is a run of bytes that survives.
type piece struct {
	off  int64
	data []byte
}

// survivors are the sectors that reached the disk though nobody waited for them, joined to pieces
// and in order; their data is yet to be read. Of each write nothing, all or a prefix of
// its sectors arrives, whatever became of earlier writes. A sector is old or as it is
// now, never between, and so is always one that some order of writeback leaves behind.
// Nothing written after a truncation arrives without the truncation, since file systems
// order the two; cut says that the truncation itself did. now is the size of the file in bytes.
func (m *image) survivors(draw *dice, now int64) (pieces []piece, cut bool) {
	if draw == nil {
		return nil, false
	}
	if m.shrunk != neverShrunk {
		if draw.IntN(2) == 0 {
			return nil, false
		}
		cut = true
	}
	arrived := map[int64]bool{}
	for _, w := range m.writes {
		if w.size == allExtents {
			continue
		}
		first, end := w.off/sectorSize, (w.off+w.size+sectorSize-1)/sectorSize
		count := int64(0)
		switch draw.IntN(4) {
		case 0:
		case 1:
			count = end - first
		default:
			count = draw.Int64N(end - first + 1)
		}
		for sector := first; sector < first+count; sector++ {
			arrived[sector] = true
		}
	}
	return join(slices.Sorted(maps.Keys(arrived)), now), cut
}

// join makes runs of sectors to pieces, as far as the file goes.
func join(sectors []int64, now int64) (pieces []piece) {
	for i := 0; i < len(sectors); {
		end := i + 1
		for end < len(sectors) && sectors[end] == sectors[end-1]+1 {
			end++
		}
		off := sectors[i] * sectorSize
		if size := min(now, sectors[end-1]*sectorSize+sectorSize) - off; size > 0 {
			pieces = append(pieces, piece{off, make([]byte, size)})
		}
		i = end
	}
	return pieces
}

//go:build linux

package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// TestTornFilesAreOnesThatADiskCanLeave writes and truncates at random, and looks at each sector after
// a torn loss. Without truncations it is the durable or the last one. With them the file
// is wholly the durable one, or cut to its smallest size and then added to by what came last.
func TestTornFilesAreOnesThatADiskCanLeave(t *testing.T) {
	needsFUSE(t)
	m := mountedDisk(t)
	back, added := 0, 0
	for seed := uint64(1); seed <= 80; seed++ {
		random := rand.New(rand.NewPCG(seed, 9))
		name := fmt.Sprint("f", seed)
		durable := bytes.Repeat([]byte{'o'}, random.IntN(20000))
		m.write(t, name, string(durable))
		m.sync(t, name)
		m.sync(t, ".")
		smallest, now := change(t, m.path(name), random)
		_, err := m.PowerLoss(seed, faults.NamesJournaled)
		require.NoError(t, err)
		got := []byte(m.content(t, name))
		if bytes.Equal(got, durable) {
			back++
			continue
		}
		base := durable[:min(len(durable), smallest)]
		require.GreaterOrEqual(t, len(got), len(base))
		require.LessOrEqual(t, len(got), max(len(base), len(now)))
		for off := 0; off < len(got); off += sectorSize {
			part := got[off:min(len(got), off+sectorSize)]
			old := make([]byte, len(part))
			if off < len(base) {
				copy(old, base[off:])
			}
			if bytes.Equal(part, old) {
				continue
			}
			added++
			require.True(t, bytes.HasPrefix(now[min(off, len(now)):], part), "seed %d, sector at %d", seed, off)
		}
	}
	require.Positive(t, back)
	require.Positive(t, added)
}

// change writes and truncates a file, and tells its smallest size and its content in the end.
func change(t *testing.T, name string, random *rand.Rand) (smallest int, now []byte) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	smallest = 1 << 30
	cuts := random.IntN(2) * 3
	for i := range 8 {
		if random.IntN(8) < cuts {
			size := random.IntN(20000)
			require.NoError(t, f.Truncate(int64(size)))
			smallest = min(smallest, size)
			continue
		}
		_, err := f.WriteAt(bytes.Repeat([]byte{byte('0' + i)}, 1+random.IntN(6000)), int64(random.IntN(20000)))
		require.NoError(t, err)
	}
	now, err = os.ReadFile(name)
	require.NoError(t, err)
	return smallest, now
}

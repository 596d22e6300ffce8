//go:build linux

package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func BenchmarkWrite(b *testing.B) {
	for _, through := range []bool{false, true} {
		for _, synced := range []bool{false, true} {
			b.Run(fmt.Sprintf("mount=%v/sync=%v", through, synced), func(b *testing.B) {
				dir := b.TempDir()
				if through {
					dir = mountedDisk(b).at
				}
				f, err := os.Create(filepath.Join(dir, "f"))
				require.NoError(b, err)
				defer f.Close()
				page := make([]byte, pageSize)
				for i := 0; b.Loop(); i++ {
					if _, err := f.WriteAt(page, int64(i%1000)*pageSize); err != nil {
						b.Fatal(err)
					}
					if !synced {
						continue
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPowerLoss takes back 1,000 unsynced writes of 4 KiB over durable content.
func BenchmarkPowerLoss(b *testing.B) {
	m := mountedDisk(b)
	page := make([]byte, pageSize)
	require.NoError(b, os.WriteFile(m.path("f"), make([]byte, 1000*pageSize), 0o600))
	m.sync(b, "f")
	m.sync(b, ".")
	for b.Loop() {
		b.StopTimer()
		f, err := os.OpenFile(m.path("f"), os.O_WRONLY, 0)
		require.NoError(b, err)
		for i := range int64(1000) {
			_, err := f.WriteAt(page, i*pageSize)
			require.NoError(b, err)
		}
		require.NoError(b, f.Close())
		b.StartTimer()
		_, err = m.PowerLoss(0, faults.NamesJournaled)
		require.NoError(b, err)
	}
}

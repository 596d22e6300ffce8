//go:build amd64 || arm64

package clock

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// What one reading costs a process: of this process's own vDSO, and of patched copies.
func BenchmarkReading(b *testing.B) {
	own, err := ours()
	require.NoError(b, err)
	start, _, err := mapped(unix.Getpid())
	require.NoError(b, err)
	result, _ := skewed(b, paramBank{})
	b.Run("unpatched", func(b *testing.B) {
		for b.Loop() {
			call(uintptr(start+own.entries[clockGettime].at), unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&result.result[0])))
		}
	})
	for name, s := range map[string]Setting{"offset": {Clock: faults.Clock{Offset: time.Hour}}, "drift": {Clock: faults.Clock{Drift: 0.1}, Since: 1},
		"strobe": {Clock: faults.Clock{Strobe: 1, Period: time.Second}, Since: 1}} {
		b.Run(name, func(b *testing.B) {
			now, err := instantNow()
			require.NoError(b, err)
			e, p := skewed(b, paramBank{}.next(s, now))
			for b.Loop() {
				if e.call(p.entries[clockGettime].at, unix.CLOCK_REALTIME, &e.result[0]) != 0 {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	needsTracing(b)
	_, p := under(b, self("tell"), Setting{Clock: faults.Clock{Offset: 1}})
	for i := 0; b.Loop(); i++ {
		require.NoError(b, p.Set(Setting{Clock: faults.Clock{Offset: time.Duration(i)}}))
	}
}

func BenchmarkRead(b *testing.B) {
	needsTracing(b)
	_, p := under(b, self("tell"), Setting{Clock: faults.Clock{Offset: 1}})
	for b.Loop() {
		read(b, p)
	}
}

// A process that runs is stopped, patched, and let go, and the other way round.
func BenchmarkPatchAndRestore(b *testing.B) {
	needsTracing(b)
	_, p := running(b, self("tell"))
	for b.Loop() {
		require.NoError(b, p.Set(Setting{Clock: faults.Clock{Offset: 1}}))
		require.NoError(b, p.Restore())
	}
}

// Start to end of a program that does nothing, without and with a patch at its exec.
func BenchmarkStart(b *testing.B) {
	needsTracing(b)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, self("nothing").Run())
		}
	})
	b.Run("patched", func(b *testing.B) {
		for b.Loop() {
			cmd := self("nothing")
			p, err := Start(cmd, Setting{Clock: faults.Clock{Offset: time.Hour}})
			require.NoError(b, err)
			require.NoError(b, p.Close())
			require.NoError(b, cmd.Wait())
		}
	})
}

//go:build amd64 || arm64

package clock

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A reader never mixes two banks, though the writer turns them twice in less time than a reading takes,
// far faster than Set can.
func TestBanksAreNotMixed(t *testing.T) {
	_, p := skewed(t, paramBank{})
	written, executed := shared(t, applied(p, paramBank{}, 0))
	e := executable{memory: executed, result: make([]byte, 16)}
	var over atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		payload := written[p.base:]
		generation := (*atomic.Uint64)(unsafe.Pointer(&payload[atGeneration]))
		for g := uint64(1); !over.Load(); g++ {
			part := int64(1+g%7) * int64(time.Minute)
			b := paramBank{wall: family{strobe: part, period: int64(year)}}
			b.rows[realtime].offset = int64(g%steps)*int64(step) - part
			for at, word := 0, b.encode(); at < bankSize; at += 8 {
				to := (*atomic.Uint64)(unsafe.Pointer(&payload[atBank(g)+uint64(at)]))
				to.Store(binary.LittleEndian.Uint64(word[at:]))
			}
			generation.Store(g)
			if g%8 == 0 { // lest readers never find two generations the same
				for pause := now(t); now(t) < pause+time.Microsecond; {
				}
			}
		}
	})
	for range 200_000 {
		before, err := ask(unix.CLOCK_REALTIME)
		require.NoError(t, err)
		shown, err := e.show(p.entries[clockGettime].at, unix.CLOCK_REALTIME)
		require.NoError(t, err)
		after, err := ask(unix.CLOCK_REALTIME)
		require.NoError(t, err)
		if !ahead(shown.Nano(), before, after) {
			over.Store(true)
			writer.Wait()
			t.Fatalf("%v ahead: no setting shows that", time.Duration(shown.Nano()-before))
		}
	}
	over.Store(true)
	writer.Wait()
}

// shared is the same memory twice, to be written and to be executed.
func shared(t testing.TB, content []byte) (written, executed []byte) {
	fd, err := unix.MemfdCreate("vdso", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	_, err = unix.Write(fd, content)
	require.NoError(t, err)
	for to, protection := range map[*[]byte]int{&written: unix.PROT_READ | unix.PROT_WRITE, &executed: unix.PROT_READ | unix.PROT_EXEC} {
		*to, err = unix.Mmap(fd, 0, len(content), protection, unix.MAP_SHARED)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, unix.Munmap(*to)) })
	}
	require.NoError(t, unix.Close(fd))
	return written, executed
}

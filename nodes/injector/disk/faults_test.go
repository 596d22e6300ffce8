//go:build linux

package disk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

func TestAGoodDiskIsSeenAsSuch(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "not synced")
	_, before := m.Unsynced()
	seen, err := m.Probe()
	require.NoError(t, err)
	require.Positive(t, seen.PlainTook)
	seen.WriteTook, seen.SyncTook, seen.ReadTook, seen.PlainTook, seen.File = 0, 0, 0, 0, 0
	require.Equal(t, Seen{Same: true, Durable: true}, seen)
	_, after := m.Unsynced()
	require.Equal(t, before, after, "the probe must leave the node's files as they are")
}

func TestProbeSeesEachFault(t *testing.T) {
	m := mountedDisk(t)
	for _, c := range []struct {
		state faults.Disk
		sees  Seen
	}{
		{faults.Disk{Lie: true}, Seen{Same: true}},
		{faults.Disk{Full: true}, Seen{Create: "ENOSPC", Append: "ENOSPC", Same: true, Durable: true}},
		{faults.Disk{FailRead: true}, Seen{Read: "EIO", Durable: true}},
		{faults.Disk{FailWrite: true}, Seen{Write: "EIO", Append: "EIO", Durable: true}},
		{faults.Disk{FailSync: true}, Seen{Sync: "EIO", Same: true}},
	} {
		require.NoError(t, m.Set(c.state))
		seen, err := m.Probe()
		require.NoError(t, err)
		require.Positive(t, seen.PlainTook)
		seen.WriteTook, seen.SyncTook, seen.ReadTook, seen.PlainTook, seen.File = 0, 0, 0, 0, 0
		require.Equal(t, c.sees, seen, "%+v", c.state)
	}
	require.NoError(t, m.Set(faults.Disk{SlowSync: 50 * time.Millisecond, SlowIO: 20 * time.Millisecond}))
	seen, err := m.Probe()
	require.NoError(t, err)
	require.GreaterOrEqual(t, seen.SyncTook, 50*time.Millisecond)
	require.GreaterOrEqual(t, seen.WriteTook, 20*time.Millisecond)
	require.GreaterOrEqual(t, seen.ReadTook, 20*time.Millisecond)
}

func TestALieIsFoundOutByAPowerLoss(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "one")
	m.sync(t, "a")
	m.sync(t, ".")
	require.NoError(t, m.Set(faults.Disk{Lie: true}))
	m.write(t, "a", "two")
	m.sync(t, "a")
	loss, err := m.PowerLoss(0, faults.NamesJournaled)
	require.NoError(t, err)
	require.Equal(t, Canary{Lost: true}, loss.Canary)
	require.Equal(t, "one", m.content(t, "a"))
	require.NoError(t, m.Set(faults.Disk{}))
}

func TestAWriteWithODSYNCIsDurable(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "")
	m.sync(t, ".")
	f, err := os.OpenFile(m.path("a"), os.O_WRONLY|unix.O_DSYNC, 0)
	require.NoError(t, err)
	_, err = f.WriteString("durable")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	m.lose(t)
	require.Equal(t, "durable", m.content(t, "a"))
}

func TestOpenFilesFailAtOnceAndAreDeadAfterAPowerLoss(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "text")
	f, err := os.OpenFile(m.path("a"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	buf := make([]byte, 4)
	_, err = f.ReadAt(buf, 0)
	require.NoError(t, err)
	require.NoError(t, m.Set(faults.Disk{FailRead: true}))
	_, err = f.ReadAt(buf, 0)
	require.ErrorIs(t, err, unix.EIO, "the page cache must not hide it")
	require.NoError(t, m.Set(faults.Disk{}))
	m.lose(t)
	_, err = f.WriteAt(buf, 0)
	require.ErrorIs(t, err, unix.EIO)
}

func TestAFullDiskTakesWhatNeedsNoSpace(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", strings.Repeat("x", 8192))
	m.write(t, "b", "b")
	require.NoError(t, m.Set(faults.Disk{Full: true}))
	f, err := os.OpenFile(m.path("a"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("over"), 100)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("more"), 8192)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorIs(t, os.Mkdir(m.path("d"), 0o755), unix.ENOSPC)
	require.NoError(t, os.Remove(m.path("b")))
}

func TestWhatIsTooMuchToRememberIsSaid(t *testing.T) {
	m := mountedDisk(t)
	m.limit = 64 << 10
	m.write(t, "a", strings.Repeat("x", 256<<10))
	m.sync(t, "a")
	m.sync(t, ".")
	m.write(t, "a", strings.Repeat("y", 256<<10))
	_, err := m.PowerLoss(0, faults.NamesJournaled)
	require.ErrorIs(t, err, ErrForgotten)
	m.lose(t) // and the next one is in order
	require.Zero(t, m.memory.Load())
}

func TestTornWritesAreSectorsOldOrNewAndRepeat(t *testing.T) {
	const size = 64 << 10
	old, written := bytes.Repeat([]byte{'o'}, size), bytes.Repeat([]byte{'n'}, size)
	lose := func(seed uint64) []byte {
		m := mountedDisk(t)
		m.write(t, "a", string(old))
		m.sync(t, "a")
		m.sync(t, ".")
		f, err := os.OpenFile(m.path("a"), os.O_WRONLY, 0)
		require.NoError(t, err)
		for off := 0; off < size; off += 8192 {
			_, err := f.WriteAt(written[:8192], int64(off))
			require.NoError(t, err)
		}
		require.NoError(t, f.Close())
		_, err = m.PowerLoss(seed, faults.NamesJournaled)
		require.NoError(t, err)
		content := []byte(m.content(t, "a"))
		require.Len(t, content, size)
		return content
	}
	require.Equal(t, old, lose(0))
	mixed := 0
	for seed := uint64(1); seed <= 4; seed++ {
		got := lose(seed)
		require.Equal(t, got, lose(seed), "a seed is a fate")
		for off := 0; off < size; off += sectorSize {
			require.Equal(t, bytes.Repeat(got[off:off+1], sectorSize), got[off:off+sectorSize], "a sector is whole")
		}
		if !bytes.Equal(got, old) && !bytes.Equal(got, written) {
			mixed++
		}
	}
	require.Positive(t, mixed)
}

func TestForeignProgramsWorkOnIt(t *testing.T) {
	m := mountedDisk(t)
	cmd := shellIn(m.at, `
		echo one >a; echo two >>a; cp a b; mv b c; mkdir d; ln a d/a; ln -s a s
		dd if=/dev/zero of=sparse bs=4096 seek=100 count=1 conv=fsync 2>/dev/null
		dd if=sparse of=copy bs=4096 skip=100 oflag=append conv=notrunc 2>/dev/null
		test "$(cat s)" = "$(cat c)"; test "$(stat -c %s sparse)" = 413696; test "$(stat -c %h a)" = 2
		rm -r d; ls -A`)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "a\nc\ncopy\ns\nsparse\n", string(out))
	m.lose(t)
	out, err = exec.Command("ls", "-A", m.at).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "sparse\n", string(out), "of it dd has waited for an fsync")
}

func TestWipe(t *testing.T) {
	m := mountedDisk(t)
	require.NoError(t, os.MkdirAll(m.path("d/e"), 0o755))
	m.write(t, "d/e/f", "x")
	require.NoError(t, m.Wipe())
	entries, err := os.ReadDir(m.at)
	require.NoError(t, err)
	require.Empty(t, entries)
	m.lose(t)
}

func TestCloseWithOpenFilesDoesNotHang(t *testing.T) {
	m := mountedDisk(t)
	sleeper := shellIn(m.at, "exec 3>held; echo open; exec sleep 60")
	out, err := sleeper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, sleeper.Start())
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	require.ErrorIs(t, m.Set(faults.Disk{}), ErrClosed)
	_, err = os.Stat(filepath.Join(m.backing, "held"))
	require.NoError(t, err)
}

func TestALieThatEndsIsMadeGood(t *testing.T) {
	m := mountedDisk(t)
	require.NoError(t, m.Set(faults.Disk{Lie: true}))
	m.write(t, "a", "promised")
	m.sync(t, "a")
	m.sync(t, ".")
	require.NoError(t, m.Set(faults.Disk{}))
	_, operations := m.Unsynced()
	require.Zero(t, operations)
	m.lose(t)
	require.Equal(t, "promised", m.content(t, "a"))
}

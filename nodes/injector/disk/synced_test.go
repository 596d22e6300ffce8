//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// TestWhatWasSyncedIsThereWhenPowerGoesMidway appends numbers to logs, each with a sync, from several
// goroutines, until a power loss in their midst kills their files.
func TestWhatWasSyncedIsThereWhenPowerGoesMidway(t *testing.T) {
	m := mountedDisk(t)
	for round, torn := range []uint64{0, 1, 2, 3} {
		var wait, warm sync.WaitGroup
		synced := make([]uint64, 4)
		for i := range synced {
			name := m.path(fmt.Sprintf("log-%d-%d", round, i))
			f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			require.NoError(t, err)
			m.sync(t, ".")
			warm.Add(1)
			wait.Go(func() {
				defer f.Close()
				for n := uint64(1); ; n++ {
					if n == 10 {
						warm.Done()
					}
					if _, err := f.Write(binary.BigEndian.AppendUint64(nil, n)); err != nil {
						return
					}
					if err := f.Sync(); err != nil {
						return
					}
					synced[i] = n
				}
			})
		}
		warm.Wait()
		_, err := m.PowerLoss(torn, faults.NamesJournaled)
		require.NoError(t, err)
		wait.Wait()
		for i, last := range synced {
			content := []byte(m.content(t, fmt.Sprintf("log-%d-%d", round, i)))
			require.GreaterOrEqual(t, uint64(len(content)), last*8)
			for n := range last {
				require.Equal(t, n+1, binary.BigEndian.Uint64(content[n*8:]))
			}
			require.LessOrEqual(t, uint64(len(content)), (last+1)*8, "no more than what was on its way")
		}
	}
}

func TestOurDirectoriesAreOutOfTheNodesWay(t *testing.T) {
	m := mountedDisk(t)
	_, err := os.Stat(m.path(keptDir))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, name := range []string{keptDir, probeDir} {
		require.ErrorIs(t, unix.Mkdir(m.path(name), 0o755), map[bool]error{true: unix.EPERM, false: unix.EEXIST}[name == keptDir])
		require.Error(t, os.WriteFile(m.path(name), nil, 0o600))
		require.Error(t, os.Rename(m.path(name), m.path("x")))
		require.Error(t, unix.Rmdir(m.path(name)))
	}
	entries, err := os.ReadDir(m.at)
	require.NoError(t, err)
	require.Empty(t, entries)
	var st unix.Stat_t
	require.NoError(t, unix.Stat(m.at, &st))
	require.EqualValues(t, 2, st.Nlink)
}

func TestKeptLinksDoNotShow(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "x")
	m.sync(t, ".")
	f, err := os.Open(m.path("a"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Remove(m.path("a")))
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(f.Fd()), &st))
	require.Zero(t, st.Nlink)
	m.lose(t)
	require.NoError(t, unix.Stat(m.path("a"), &st))
	require.EqualValues(t, 1, st.Nlink)
}

func TestMappedWritesAreLostUntilSynced(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", string(bytes.Repeat([]byte{'o'}, pageSize)))
	m.sync(t, "a")
	m.sync(t, ".")
	// Another process maps it: this one must not wait for itself on a page fault.
	program := `
import mmap, os, sys
f = open(sys.argv[1], "r+b"); p = mmap.mmap(f.fileno(), 4096)
p[0:6] = b"synced"; p.flush(); os.fsync(f.fileno())
p[0:6] = b"mapped"; p.close(); f.close()`
	python(t, program, m.path("a"))
	m.lose(t)
	require.Equal(t, "synced", m.content(t, "a")[:6])
}

func TestFallocate(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", string(bytes.Repeat([]byte{'o'}, 4*pageSize)))
	m.sync(t, "a")
	m.sync(t, ".")
	f, err := os.OpenFile(m.path("a"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, pageSize, pageSize))
	require.NoError(t, unix.Fallocate(int(f.Fd()), 0, 0, 8*pageSize))
	want := append(bytes.Repeat([]byte{'o'}, pageSize), make([]byte, pageSize)...)
	want = append(append(want, bytes.Repeat([]byte{'o'}, 2*pageSize)...), make([]byte, 4*pageSize)...)
	require.Equal(t, string(want), m.content(t, "a"))
	m.lose(t)
	require.Equal(t, string(bytes.Repeat([]byte{'o'}, 4*pageSize)), m.content(t, "a"))
}

// ".." leads from a directory of the backing one to the mount over that.
func TestRenamesBetweenDirectoriesOfADiskOverItsBackingDirectory(t *testing.T) {
	needsFUSE(t)
	backing := t.TempDir()
	d, err := New(backing, asClient)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	require.NoError(t, d.Mount(backing))
	out, err := shellIn(backing, "mkdir -p a/b c/d; echo x >a/b/f; mv a/b/f c/d/g; sync c/d/g; cat c/d/g").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "x\n", string(out))
}

package injector

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// needsFUSE skips where a file system cannot be made, unless it has to be possible.
func needsFUSE(t *testing.T) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(fd)
	}
	if err == nil && os.Geteuid() != 0 {
		err = fmt.Errorf("this test mounts as root")
	}
	if err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skip("no file system can be made here: ", err)
	}
	require.NoError(t, err)
}

// diskWith is a disk that holds one file, below the file system.
func diskWith(t *testing.T, name string, content []byte) (d *disks, path string) {
	t.Helper()
	needsFUSE(t)
	dir := t.TempDir()
	path = filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	d, err := openDisks(dir, true)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.disk.Close()) })
	return d, path
}

func requireContent(t *testing.T, want []byte, path string, why ...any) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, got, why...)
}

// Damages of one file lie over each other: a bit that was flipped may be in what was cut off later.
func TestDamagesOfOneFileAreAllMended(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 50)
	d, path := diskWith(t, "log", content)
	for draw := range uint64(20) {
		all := []Damage{
			{Kind: BitFlip, File: "log", Draw: draw}, {Kind: Truncate, File: "log", Draw: draw + 1},
			{Kind: BitFlip, File: "log", Draw: draw + 2}, {Kind: Truncate, File: "log", Draw: draw + 3},
		}
		require.NoError(t, d.damage(all))
		require.True(t, d.damagedAs(all))
		require.NoError(t, d.damage(nil))
		requireContent(t, content, path, "draw %d", draw)
	}
}

func TestOfDamagesOneIsMendedAndOneStays(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 50)
	d, path := diskWith(t, "log", content)
	flip, cut := Damage{Kind: BitFlip, File: "log", Draw: 1}, Damage{Kind: Truncate, File: "log", Draw: 2}
	require.NoError(t, d.damage([]Damage{flip, cut}))
	require.NoError(t, d.damage([]Damage{cut}))
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Less(t, len(now), len(content))
	require.Equal(t, content[:len(now)], now, "the bit is as it was")
	require.NoError(t, d.damage(nil))
	requireContent(t, content, path)
}

// A damage that cannot be done must not hide one that was.
func TestWhatWasDamagedBeforeAnErrorIsMended(t *testing.T) {
	content := []byte("content")
	d, path := diskWith(t, "log", content)
	both := []Damage{{Kind: BitFlip, File: "log", Draw: 1}, {Kind: BitFlip, File: "nowhere", Draw: 1}}
	require.ErrorContains(t, d.damage(both), "no file with content matches")
	require.False(t, d.damagedAs(nil), "the first was done")
	require.False(t, d.damagedAs(both), "the second was not")
	require.NoError(t, d.damage(nil))
	require.True(t, d.damagedAs(nil))
	requireContent(t, content, path)
}

func TestWhatTheNodeHasWrittenOverIsLeft(t *testing.T) {
	d, path := diskWith(t, "log", []byte("content"))
	require.NoError(t, d.damage([]Damage{{Kind: Truncate, File: "log", Draw: 1}}))
	require.NoError(t, os.WriteFile(path, []byte("all is new here"), 0o600))
	require.NoError(t, d.damage(nil))
	requireContent(t, []byte("all is new here"), path)
}

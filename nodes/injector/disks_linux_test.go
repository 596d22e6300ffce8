package injector

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
	"faultline/nodes/injector/disk"
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
		all := []faults.Damage{
			{Kind: faults.BitFlip, File: "log", Draw: draw}, {Kind: faults.Truncate, File: "log", Draw: draw + 1},
			{Kind: faults.BitFlip, File: "log", Draw: draw + 2}, {Kind: faults.Truncate, File: "log", Draw: draw + 3},
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
	flip, cut := faults.Damage{Kind: faults.BitFlip, File: "log", Draw: 1}, faults.Damage{Kind: faults.Truncate, File: "log", Draw: 2}
	require.NoError(t, d.damage([]faults.Damage{flip, cut}))
	require.NoError(t, d.damage([]faults.Damage{cut}))
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
	both := []faults.Damage{{Kind: faults.BitFlip, File: "log", Draw: 1}, {Kind: faults.BitFlip, File: "nowhere", Draw: 1}}
	require.ErrorContains(t, d.damage(both), "no file with content matches")
	require.False(t, d.damagedAs(nil), "the first was done")
	require.False(t, d.damagedAs(both), "the second was not")
	require.NoError(t, d.damage(nil))
	require.True(t, d.damagedAs(nil))
	requireContent(t, content, path)
}

func TestWhatTheNodeHasWrittenOverIsLeft(t *testing.T) {
	d, path := diskWith(t, "log", []byte("content"))
	require.NoError(t, d.damage([]faults.Damage{{Kind: faults.Truncate, File: "log", Draw: 1}}))
	require.NoError(t, os.WriteFile(path, []byte("all is new here"), 0o600))
	require.NoError(t, d.damage(nil))
	requireContent(t, []byte("all is new here"), path)
}

// Each of the two models shows in what is left of a disk, and neither passes for the other.
func TestALossOfPowerIsProvedByTheNamesThatItTook(t *testing.T) {
	d, _ := diskWith(t, "log", []byte("content"))
	for _, done := range []faults.Names{faults.NamesJournaled, faults.NamesPOSIX} {
		loss, err := d.disk.PowerLoss(0, done)
		require.NoError(t, err)
		for _, asked := range []faults.Names{faults.NamesJournaled, faults.NamesPOSIX} {
			seen, err := lossSeen(loss.Canary, asked, faults.Disk{})
			if done == asked {
				require.NoError(t, err)
				require.Equal(t, done.String(), seen)
			} else {
				require.ErrorContains(t, err, "treated as "+done.String(), "asked for %s", asked)
			}
		}
		require.NoError(t, d.powerLoss(0, done))
		report, err := d.report()
		require.NoError(t, err)
		require.Equal(t, done.String(), report.LostBy)
		d.lost = false // the node has run
	}
}

func TestLossesOfPowerThatProveNothing(t *testing.T) {
	good := disk.Canary{Synced: true, Named: true, Lost: true}
	for _, c := range []struct {
		canary disk.Canary
		state  faults.Disk
		seen   string
		err    string
	}{
		{good, faults.Disk{}, "journaled", ""},
		{good, faults.Disk{SlowSync: 1, FailRead: true}, "journaled", ""},
		{disk.Canary{Synced: true, Named: true}, faults.Disk{}, "", "never synced outlasted"},
		{disk.Canary{Synced: true, Named: true}, faults.Disk{Lie: true}, "", "never synced outlasted"},
		{disk.Canary{Lost: true}, faults.Disk{}, "", "what was synced did not outlast"},
		{disk.Canary{Lost: true}, faults.Disk{Lie: true}, faults.NamesUntold, ""},
		{disk.Canary{Failed: "EIO"}, faults.Disk{FailSync: true}, faults.NamesUntold, ""},
		{disk.Canary{Failed: "ENOSPC"}, faults.Disk{Full: true}, faults.NamesUntold, ""},
		{disk.Canary{Failed: "EIO"}, faults.Disk{}, "", "could not be written: EIO"},
	} {
		seen, err := lossSeen(c.canary, "", c.state)
		require.Equal(t, c.seen, seen, "%+v", c)
		if c.err == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.err)
		}
	}
}

package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var badDisks = []Disk{
	{}, {Lie: true}, {SlowSync: 20 * time.Millisecond}, {Full: true}, {FailRead: true}, {FailWrite: true}, {FailSync: true}, {Torn: 3}, {Names: NamesPOSIX},
	{Damages: []Damage{{BitFlip, "raft/*", 1}}}, {Damages: []Damage{{BitFlip, "raft/*", 1}, {Truncate, "a", 2}}},
}

func TestDisksMergeInAnyOrder(t *testing.T) {
	for _, a := range badDisks {
		require.Equal(t, a.String(), a.Merge(Disk{}).Merge(Disk{}).String())
		for _, b := range badDisks {
			require.Equal(t, a.Merge(b), b.Merge(a))
			for _, c := range badDisks {
				require.Equal(t, a.Merge(b).Merge(c), a.Merge(b.Merge(c)))
			}
		}
	}
}

// healthyDisk is what the probes of a good disk see.
var healthyDisk = DiskMeasurement{Tried: true, SyncTook: time.Millisecond, Kept: true}

func TestDisksAreBelievedOnlyWhenTried(t *testing.T) {
	require.Empty(t, healthyDisk.mismatches(Disk{}))
	require.Empty(t, DiskMeasurement{}.mismatches(Disk{}), "there may be nothing that could fail")
	for _, bad := range badDisks {
		if bad.Healthy() || bad.Torn != 0 || bad.Names != NamesJournaled { // that shows at a loss of power
			continue
		}
		require.NotEmpty(t, DiskMeasurement{}.mismatches(bad), bad)
		require.NotEmpty(t, healthyDisk.mismatches(bad), bad)
	}
	lying := healthyDisk
	lying.Kept = false
	require.Empty(t, lying.mismatches(Disk{Lie: true}))
	require.Equal(t, []string{"what an fsync on its disk promised would not outlast a loss of power"}, lying.mismatches(Disk{}))
	full := healthyDisk
	full.Create = "ENOSPC"
	require.Empty(t, full.mismatches(Disk{Full: true}))
	require.Equal(t, []string{"a create on its disk failed with ENOSPC, and should have succeeded"}, full.mismatches(Disk{}))
	slow := healthyDisk
	slow.SyncTook, slow.PlainTook = 25*time.Millisecond, 2*time.Millisecond
	require.Empty(t, slow.mismatches(Disk{SlowSync: 20 * time.Millisecond}))
	require.Equal(t, []string{"an fsync on its disk took 25ms, more than 23ms, though one beside it took 2ms"}, slow.mismatches(Disk{}))
	slow.PlainTook = 5 * time.Millisecond
	require.Empty(t, slow.mismatches(Disk{}), "the machine's disk is no faster")
	failing := DiskMeasurement{Tried: true, Sync: "EIO"}
	require.Empty(t, failing.mismatches(Disk{FailSync: true}))
}

// A loss of power is proved only by the model that was asked for.
func TestALossOfPowerIsBelievedByTheNamesThatItTook(t *testing.T) {
	for _, c := range []struct {
		asked Names
		seen  string
		wrong bool
	}{
		{NamesJournaled, "journaled", false}, {NamesPOSIX, "posix", false},
		{NamesJournaled, "posix", true}, {NamesPOSIX, "journaled", true},
		{NamesJournaled, "untold", false}, {NamesPOSIX, "untold", true},
		{NamesJournaled, "", true}, {NamesPOSIX, "", true},
	} {
		var want Conditions
		want.SetProcess([]string{"a"}, PoweredOff)
		want.SetDisk([]string{"a"}, Disk{Names: c.asked})
		seen := healthyDisk
		seen.LostBy = c.seen
		m := Measurement{Processes: map[string]ProcessState{"a": PoweredOff}, Disks: map[string]DiskMeasurement{"a": seen}}
		require.Equal(t, c.wrong, len(m.Mismatches(want, []string{"a"})) > 0, "%+v", c)
	}
}

func TestDiskStatesThatAreRefused(t *testing.T) {
	require.ErrorContains(t, Disk{SlowSync: time.Minute}.Check(), "slow-fsync is 1m0s")
	require.ErrorContains(t, Disk{Lie: true, FailSync: true}.Check(), "does not fail")
	require.ErrorContains(t, Disk{Names: "other"}.Check(), `names are "other": want journaled or posix`)
	for _, s := range badDisks {
		require.NoError(t, s.Check(), s)
	}
}

func TestWorseStatesOfProcessesCount(t *testing.T) {
	for _, order := range [][]ProcessState{{Paused, PoweredOff, Killed}, {PoweredOff, Killed, Paused}, {Killed, Paused, PoweredOff}} {
		var c Conditions
		for _, p := range order {
			c.SetProcess([]string{"a"}, p)
		}
		require.Equal(t, PoweredOff, c.Processes["a"])
		c.SetProcess([]string{"a"}, Wiped)
		require.Equal(t, Wiped, c.Processes["a"])
	}
}

func TestANodeMayEndOverItsDisk(t *testing.T) {
	var c Conditions
	c.SetDisk([]string{"a"}, Disk{FailSync: true})
	m := Measurement{Processes: map[string]ProcessState{"a": Killed}, Disks: map[string]DiskMeasurement{"a": {Tried: true, Sync: "EIO"}}}
	require.Empty(t, m.Mismatches(c, []string{"a"}))
	require.NotEmpty(t, m.Mismatches(Conditions{}, []string{"a"}))
	m.Processes["a"] = Paused
	require.NotEmpty(t, m.Mismatches(c, []string{"a"}))
}

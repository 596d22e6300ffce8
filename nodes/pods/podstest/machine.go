package podstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

// granted starts a cluster whose pods have the rights to clocks and disks.
func granted(t *testing.T, s Subject, name string) nodes.Cluster {
	t.Helper()
	Need(t, s)
	want := spec(t, name, "dc1-3")
	want.Needs = []faults.Capability{faults.ClockWall, faults.ClockMonotonic, faults.ProcessOff, faults.DiskSync, faults.DiskSlow, faults.DiskFull,
		faults.DiskError, faults.DiskDamage}
	return start(t, s, want)
}

// moment is how far apart two readings of one clock may be, on a machine that is slow.
const moment = time.Minute

func testClocks(t *testing.T, s Subject) {
	c := granted(t, s, "clock")
	Ask(t, c, S2)
	var want faults.Conditions
	want.SetClock([]string{S2}, faults.Clock{Offset: -48 * time.Hour, Drift: 0.1})
	want.SetClock([]string{S3}, faults.Clock{Strobe: 24 * time.Hour, Period: 10 * time.Millisecond})
	RequireConditions(t, c, want)
	require.WithinDuration(t, time.Now().Add(-48*time.Hour), Ask(t, c, S2).Now, moment)
	require.WithinDuration(t, time.Now(), Ask(t, c, S1).Now, moment, "the others keep theirs")

	names := []string{S1, S2, S3}
	m, err := c.Measure(t.Context())
	for tries := 0; err == nil && len(m.Mismatches(want, names)) > 0 && tries < 5; tries++ { // one fsync is slow on a busy machine
		m, err = c.Measure(t.Context())
	}
	require.NoError(t, err)
	require.Empty(t, m.Mismatches(want, names))
	for _, period := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond} {
		other := want.Clone()
		other.Clocks[S3] = faults.Clock{Strobe: 24 * time.Hour, Period: period}
		require.NotEmpty(t, m.Mismatches(other, names), "this strobe is taken for one with a period of %s", period)
		RequireConditions(t, c, other)
	}

	down := want.Clone()
	down.SetProcess([]string{S2}, faults.Killed)
	RequireConditions(t, c, down)
	RequireConditions(t, c, want)
	again := Ask(t, c, S2)
	require.Equal(t, 2, again.Starts)
	require.WithinDuration(t, time.Now().Add(-48*time.Hour), again.Began, moment, "its first reading")

	RequireConditions(t, c, faults.Conditions{})
	require.WithinDuration(t, time.Now(), Ask(t, c, S2).Now, moment)
	m, err = c.Measure(t.Context())
	require.NoError(t, err)
	for _, node := range names {
		require.False(t, m.Clocks[node].Patched, "%s: all is taken back", node)
	}

	var mono faults.Conditions
	mono.SetClock([]string{S2}, faults.Clock{Monotonic: -0.25, Forward: time.Hour})
	for leaps := range 2 {
		RequireConditions(t, c, mono)
		RequireConditions(t, c, faults.Conditions{})
		m, err := c.Measure(t.Context())
		require.NoError(t, err)
		require.InDelta(t, float64(leaps+1)*60, m.Clocks[S2].Gained.Minutes(), moment.Minutes(), "what it gained it keeps")
	}
	RequireConditions(t, c, processOf(S2, faults.Killed))
	RequireConditions(t, c, faults.Conditions{})
	m, err = c.Measure(t.Context())
	require.NoError(t, err)
	require.False(t, m.Clocks[S2].Patched, "until it ends")
}

func testPowerLoss(t *testing.T, s Subject) {
	c := granted(t, s, "power")
	require.Equal(t, 1, Ask(t, c, S2).Starts)
	RequireConditions(t, c, processOf(S2, faults.Killed))
	RequireConditions(t, c, faults.Conditions{})
	again := Ask(t, c, S2)
	require.Equal(t, 2, again.Starts, "a kill takes nothing")
	require.Equal(t, 2, again.Kept)

	off := processOf(S2, faults.PoweredOff)
	off.SetProcess([]string{S3}, faults.Killed)
	RequireConditions(t, c, off)
	RequireConditions(t, c, faults.Conditions{})
	again = Ask(t, c, S2)
	require.Equal(t, 1, again.Starts, "its file was never synced")
	require.Equal(t, 3, again.Kept, "and this one was")
	require.Equal(t, 2, Ask(t, c, S3).Starts, "it kept its power")

	strict := processOf(S2, faults.PoweredOff)
	strict.SetDisk([]string{S2}, faults.Disk{Names: faults.NamesPOSIX})
	RequireConditions(t, c, strict)
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.Equal(t, "posix", m.Disks[S2].LostBy)
	RequireConditions(t, c, faults.Conditions{})

	RequireConditions(t, c, processOf(S2, faults.Wiped))
	RequireConditions(t, c, faults.Conditions{})
	require.Equal(t, 1, Ask(t, c, S2).Kept, "a new disk")
}

func testDisks(t *testing.T, s Subject) {
	c := granted(t, s, "disk")
	before := Ask(t, c, S1)
	for _, bad := range []faults.Disk{
		{SlowSync: 30 * time.Millisecond}, {Lie: true}, {FailSync: true}, {FailRead: true}, {FailWrite: true}, {Full: true},
		{Full: true, SlowSync: 30 * time.Millisecond},
	} {
		var want faults.Conditions
		want.SetDisk([]string{S1}, bad)
		RequireConditions(t, c, want)
		RequireConditions(t, c, faults.Conditions{})
	}
	require.Equal(t, before.still(), Ask(t, c, S1).still(), "it ran on")

	for _, kind := range []faults.DamageKind{faults.BitFlip, faults.Truncate} {
		var want faults.Conditions
		want.SetDisk([]string{S1}, faults.Disk{Damages: []faults.Damage{{Kind: kind, File: "kept", Draw: 7}}})
		RequireConditions(t, c, want)
		RequireConditions(t, c, faults.Conditions{})
	}
	require.Equal(t, 5, Ask(t, c, S1).Starts, "each damage and each repair is a start")
	var nowhere faults.Conditions
	nowhere.SetDisk([]string{S1}, faults.Disk{Damages: []faults.Damage{{Kind: faults.BitFlip, File: "no/such", Draw: 7}}})
	require.ErrorContains(t, c.Set(t.Context(), nowhere), "no file with content matches")
	RequireConditions(t, c, faults.Conditions{})
}

func testRights(t *testing.T, _ Subject, c nodes.Cluster) {
	var clock, disk faults.Conditions
	clock.SetClock([]string{S1}, faults.Clock{Offset: time.Hour})
	disk.SetDisk([]string{S1}, faults.Disk{Full: true})
	require.ErrorContains(t, c.Set(t.Context(), clock), "not given the right to clocks")
	require.ErrorContains(t, c.Set(t.Context(), disk), "not given the right to disks")
	require.ErrorContains(t, c.Set(t.Context(), processOf(S1, faults.PoweredOff)), "not given the right to disks")
	RequireConditions(t, c, faults.Conditions{})
}

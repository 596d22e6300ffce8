package injector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestAPodDoesNotDoWhatItHasNoRightTo(t *testing.T) {
	skewed := State{Process: faults.Running, Clock: faults.Clock{Offset: time.Hour}}
	onDisks := []State{
		{Process: faults.Running, Disk: faults.Disk{Full: true}},
		{Process: faults.Running, Disk: faults.Disk{Damages: []faults.Damage{{Kind: faults.BitFlip, File: "a"}}}},
		{Process: faults.PoweredOff},
	}
	harmless := []State{{Process: faults.Running}, {Process: faults.Paused}, {Process: faults.Killed}, {Process: faults.Wiped}}

	bare, full := &Pod{}, &Pod{clocks: &clocks{}, disks: &disks{}}
	require.EqualError(t, bare.permits(skewed), "this pod was not given the right to clocks")
	require.NoError(t, (&Pod{clocks: &clocks{}}).permits(skewed))
	require.Error(t, (&Pod{disks: &disks{}}).permits(skewed), "one right is not the other")
	for _, s := range onDisks {
		require.EqualError(t, bare.permits(s), "this pod was not given the right to disks")
		require.NoError(t, (&Pod{disks: &disks{}}).permits(s))
		require.Error(t, (&Pod{clocks: &clocks{}}).permits(s), "one right is not the other")
	}
	for _, s := range harmless {
		require.NoError(t, bare.permits(s))
	}
	for _, s := range append(onDisks, skewed) {
		require.NoError(t, full.permits(s))
	}
}

package injector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/injector/clock"
	"faultline/nodes/injector/disk"
)

func TestAPodDoesNotDoWhatItHasNoRightTo(t *testing.T) {
	skewed := State{Process: Running, Clock: clock.Setting{Offset: time.Hour}}
	onDisks := []State{
		{Process: Running, Disk: disk.State{Full: true}},
		{Process: Running, Damages: []Damage{{Kind: BitFlip, File: "a"}}},
		{Process: Off},
	}
	harmless := []State{{Process: Running}, {Process: Paused}, {Process: Killed}, {Process: Absent}, {Process: Running, Torn: 1}}

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

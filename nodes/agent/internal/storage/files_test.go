package storage

import (
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/storage/fakedisk"
	"faultline/nodes/agent/oshost"
)

// TestOnRealFiles plays the story on a directory of this machine, with a restart after
// every step, and compares with the disk in memory.
func TestOnRealFiles(t *testing.T) {
	d, err := oshost.OpenDisk(t.TempDir())
	require.NoError(t, err)
	states := statesOfStory(t)
	for i, step := range story {
		l, err := openLog(d, "raft/log", smallSegment)
		require.NoError(t, err)
		require.Equal(t, states[i], dump(t, l))
		require.NoError(t, step.do(l), step.name)
		require.Equal(t, states[i+1], dump(t, l))
		require.NoError(t, l.Close())
	}
	s, err := OpenSnapshots(d, "raft/log/snapshots", 1)
	require.NoError(t, err)
	require.NoError(t, writeSnapshot(s, 1, "one"))
	require.NoError(t, writeSnapshot(s, 2, "two"))
	list, err := s.List()
	require.NoError(t, err)
	require.Len(t, list, 1)
	l, err := OpenLog(d, "raft/log")
	require.NoError(t, err, "the snapshots beside it do not disturb the log")
	require.NoError(t, l.Close())
}

func BenchmarkStoreLogs(b *testing.B) {
	disk, err := oshost.OpenDisk(b.TempDir())
	require.NoError(b, err)
	l, err := OpenLog(disk, "raft")
	require.NoError(b, err)
	batch := make([]*raft.Log, 16)
	var index uint64
	for b.Loop() {
		for i := range batch {
			index++
			batch[i] = entry(index, "k1 and a short value")
		}
		require.NoError(b, l.StoreLogs(batch))
	}
}

func BenchmarkGetLog(b *testing.B) {
	l, err := OpenLog(fakedisk.New(), "raft")
	require.NoError(b, err)
	require.NoError(b, l.StoreLogs(entries(1, 1000, "x")))
	var index uint64
	for b.Loop() {
		index = index%1000 + 1
		var e raft.Log
		require.NoError(b, l.GetLog(index, &e))
	}
}

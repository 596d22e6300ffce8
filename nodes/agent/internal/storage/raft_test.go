package storage

import (
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/storage/fakedisk"
)

// TestRaftRunsOnIt starts raft alone on the store, takes snapshots that compact the log,
// takes the power away, and demands that raft finds everything again.
func TestRaftRunsOnIt(t *testing.T) {
	d := fakedisk.New()
	node, fsm := startRaft(t, d, true)
	for range 50 {
		require.NoError(t, node.Apply([]byte("x"), time.Minute).Error())
	}
	require.NoError(t, node.Snapshot().Error())
	for range 5 {
		require.NoError(t, node.Apply([]byte("y"), time.Minute).Error())
	}
	require.Len(t, fsm.Logs(), 55)
	require.NoError(t, node.Shutdown().Error())

	node, fsm = startRaft(t, d.PowerLoss(fakedisk.Fates["nothing"]), false)
	require.NoError(t, node.Apply([]byte("z"), time.Minute).Error())
	require.Len(t, fsm.Logs(), 56)
	require.NoError(t, node.Shutdown().Error())
}

func startRaft(t *testing.T, d *fakedisk.Disk, bootstrap bool) (*raft.Raft, *raft.MockFSM) {
	log, err := openLog(d, "raft", smallSegment)
	require.NoError(t, err)
	snapshots, err := OpenSnapshots(d, "raft/snapshots", 1)
	require.NoError(t, err)
	_, transport := raft.NewInmemTransport("a")
	config := raft.DefaultConfig()
	config.LocalID = "a"
	config.TrailingLogs = 3
	config.LogOutput = io.Discard
	config.HeartbeatTimeout, config.ElectionTimeout = 50*time.Millisecond, 50*time.Millisecond
	config.LeaderLeaseTimeout = 50 * time.Millisecond
	if bootstrap {
		require.NoError(t, raft.BootstrapCluster(config, log, log, snapshots, transport,
			raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}}))
	}
	fsm := &raft.MockFSM{}
	node, err := raft.NewRaft(config, fsm, log, log, snapshots, transport)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return node.State() == raft.Leader }, time.Minute, 5*time.Millisecond)
	return node, fsm
}

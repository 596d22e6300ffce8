package storage

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/storage/fakedisk"
)

func TestSnapshotComesBack(t *testing.T) {
	d := fakedisk.New()
	s, err := OpenSnapshots(d, "snapshots", 2)
	require.NoError(t, err)
	config := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Nonvoter, ID: "id", Address: "addr"}}}
	w, err := s.Create(1, 10, 3, config, 4, nil)
	require.NoError(t, err)
	state := bytes.Repeat([]byte("some state"), 10_000)
	_, err = w.Write(state)
	require.NoError(t, err)
	list, err := s.List()
	require.NoError(t, err)
	require.Empty(t, list, "not before Close")
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.NoError(t, w.Cancel(), "too late to have an effect")

	s, err = OpenSnapshots(d, "snapshots", 2)
	require.NoError(t, err)
	list, err = s.List()
	require.NoError(t, err)
	require.Equal(t, []*raft.SnapshotMeta{{Version: 1, ID: w.ID(), Index: 10, Term: 3,
		Configuration: config, ConfigurationIndex: 4, Size: int64(len(state))}}, list)
	meta, r, err := s.Open(w.ID())
	require.NoError(t, err)
	require.Equal(t, list[0], meta)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(state, got))
	require.NoError(t, r.Close())
}

func TestCancelLeavesNothing(t *testing.T) {
	d := fakedisk.New()
	s, err := OpenSnapshots(d, "snapshots", 1)
	require.NoError(t, err)
	w, err := s.Create(1, 10, 3, raft.Configuration{}, 4, nil)
	require.NoError(t, err)
	_, err = io.WriteString(w, "state")
	require.NoError(t, err)
	require.NoError(t, w.Cancel())
	require.NoError(t, w.Close())
	_, err = io.WriteString(w, "state")
	require.Error(t, err)
	names, err := d.ReadDir("snapshots")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestOldSnapshotsGoAndReadersKeepThem(t *testing.T) {
	d := fakedisk.New()
	s, err := OpenSnapshots(d, "snapshots", 2)
	require.NoError(t, err)
	require.NoError(t, writeSnapshot(s, 1, "one"))
	list, err := s.List()
	require.NoError(t, err)
	_, r, err := s.Open(list[0].ID)
	require.NoError(t, err)
	for i := uint64(2); i <= 12; i++ {
		require.NoError(t, writeSnapshot(s, i, fmt.Sprint(i)))
	}
	list, err = s.List()
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.EqualValues(t, 12, list[0].Index)
	require.EqualValues(t, 11, list[1].Index)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "one", string(b))
	names, err := d.ReadDir("snapshots")
	require.NoError(t, err)
	require.Len(t, names, 2)
}

func TestEveryFlippedByteOfASnapshotIsTold(t *testing.T) {
	build := func() (*Snapshots, *fakedisk.Disk, string) {
		d := fakedisk.New()
		s, err := OpenSnapshots(d, "snapshots", 2)
		require.NoError(t, err)
		require.NoError(t, writeSnapshot(s, 1, "the state"))
		names, err := d.ReadDir("snapshots")
		require.NoError(t, err)
		return s, d, "snapshots/" + names[0]
	}
	_, d, name := build()
	for at := range sizeOf(t, d, name) {
		s, d, name := build()
		flip(t, d, name, at)
		_, _, err := s.Open("1-1-1")
		require.ErrorContains(t, err, name+" is corrupt", "offset %d", at)
		if at >= int64(len("the state")) {
			_, err = s.List()
			require.Error(t, err)
		}
	}
}

func TestSnapshotsRefuse(t *testing.T) {
	_, err := OpenSnapshots(fakedisk.New(), "snapshots", 0)
	require.Error(t, err)
	s, err := OpenSnapshots(fakedisk.New(), "snapshots", 1)
	require.NoError(t, err)
	_, err = s.Create(0, 1, 1, raft.Configuration{}, 1, nil)
	require.Error(t, err)
	_, _, err = s.Open("../stable")
	require.Error(t, err)
	_, _, err = s.Open("1-1-1")
	require.Error(t, err)
}

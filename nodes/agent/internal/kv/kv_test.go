package kv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func apply(s *Store, index uint64, c Command) Result {
	return s.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Data: c.Append(nil)}).(Result)
}

func one(t *testing.T, s *Store, key string) Entry {
	t.Helper()
	view := s.Query(Query{Kind: Get, Key: key})
	require.Len(t, view.Entries, 1)
	return view.Entries[0]
}

func TestIndexes(t *testing.T) {
	s := NewStore()
	require.True(t, apply(s, 5, Command{Op: Put, Key: "a", Value: []byte("1"), Flags: 7}).OK)
	require.True(t, apply(s, 9, Command{Op: Put, Key: "a", Value: []byte("2")}).OK)
	require.Equal(t, Entry{Key: "a", Value: []byte("2"), CreateIndex: 5, ModifyIndex: 9}, one(t, s, "a"))
	require.Equal(t, uint64(9), s.Applied())

	require.True(t, apply(s, 10, Command{Op: Delete, Key: "a"}).OK)
	view := s.Query(Query{Kind: Get, Key: "a"})
	require.Empty(t, view.Entries)
	require.Equal(t, uint64(10), view.Index)
}

func TestCompareAndSet(t *testing.T) {
	s := NewStore()
	require.True(t, apply(s, 1, Command{Op: CAS, Key: "a", Value: []byte("x")}).OK, "0 means absent")
	failed := apply(s, 2, Command{Op: CAS, Key: "a", Value: []byte("y")})
	require.Equal(t, Result{Index: 2, Found: true, Current: one(t, s, "a")}, failed)
	require.True(t, apply(s, 3, Command{Op: CAS, Key: "a", Value: []byte("y"), Index: 1}).OK)
	require.False(t, apply(s, 4, Command{Op: CAS, Key: "b", Index: 1}).OK, "absent is not index 1")
	require.False(t, apply(s, 5, Command{Op: DeleteCAS, Key: "a", Index: 1}).OK)
	require.True(t, apply(s, 6, Command{Op: DeleteCAS, Key: "a", Index: 3}).OK)
	require.True(t, apply(s, 7, Command{Op: DeleteCAS, Key: "a", Index: 3}).OK, "it is deleted already")
}

func TestPrefixes(t *testing.T) {
	s := NewStore()
	for i, key := range []string{"a", "a/1", "a/2/x", "a/2/y", "b"} {
		apply(s, uint64(i+1), Command{Op: Put, Key: key})
	}
	require.Equal(t, []string{"a/1", "a/2/"}, s.Query(Query{Kind: Keys, Key: "a/", Separator: "/"}).Names)
	require.Equal(t, []string{"a/1", "a/2/x", "a/2/y"}, s.Query(Query{Kind: Keys, Key: "a/"}).Names)
	list := s.Query(Query{Kind: List, Key: "a/"})
	require.Len(t, list.Entries, 3)
	require.Equal(t, uint64(4), list.Index)

	apply(s, 9, Command{Op: DeleteTree, Key: "a/2"})
	require.Equal(t, []string{"a", "a/1", "b"}, s.Query(Query{Kind: Keys}).Names)
	require.Equal(t, uint64(9), s.Query(Query{Kind: List, Key: "a/"}).Index, "a deletion moves the index on")
}

func TestWatch(t *testing.T) {
	s := NewStore()
	apply(s, 1, Command{Op: Put, Key: "a/1"})
	key, prefix := s.Query(Query{Kind: Get, Key: "a/1"}), s.Query(Query{Kind: List, Key: "a/"})
	apply(s, 2, Command{Op: Put, Key: "b"})
	require.False(t, closed(key.Changed))
	apply(s, 3, Command{Op: Put, Key: "a/1"})
	require.True(t, closed(key.Changed))
	require.True(t, closed(prefix.Changed))

	var b bytes.Buffer
	require.NoError(t, s.current.Load().write(&b))
	key = s.Query(Query{Kind: Get, Key: "a/1"})
	require.NoError(t, s.Restore(io.NopCloser(&b)))
	require.True(t, closed(key.Abandoned))
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWaitApplied(t *testing.T) {
	s := NewStore()
	done := make(chan error)
	go func() { done <- s.WaitApplied(context.Background(), 2) }()
	apply(s, 1, Command{Op: Barrier})
	s.Apply(&raft.Log{Type: raft.LogConfiguration, Index: 2})
	require.NoError(t, <-done)
	ended, end := context.WithCancel(context.Background())
	end()
	require.ErrorIs(t, s.WaitApplied(ended, 3), context.Canceled)
}

func TestSnapshotRoundTrip(t *testing.T) {
	s := NewStore()
	apply(s, 1, Command{Op: Put, Key: "a", Value: []byte("1"), Flags: 3})
	apply(s, 2, Command{Op: Put, Key: "b", Value: nil})
	apply(s, 3, Command{Op: Delete, Key: "b"})
	var b bytes.Buffer
	require.NoError(t, s.current.Load().write(&b))
	data := bytes.Clone(b.Bytes())
	restored := NewStore()
	require.NoError(t, restored.Restore(io.NopCloser(&b)))
	require.Equal(t, one(t, s, "a"), one(t, restored, "a"))
	require.Equal(t, uint64(3), restored.Applied())
	for n := range data {
		require.Error(t, restored.Restore(io.NopCloser(bytes.NewReader(data[:n]))), "cut off at %d", n)
	}
	require.Equal(t, one(t, s, "a"), one(t, restored, "a"), "a damaged snapshot changes nothing")
}

func TestDefectsOfSnapshots(t *testing.T) {
	const keys = 100
	full := NewStore()
	for i := range uint64(keys) {
		apply(full, 1000+i, Command{Op: Put, Key: fmt.Sprint("k", i), Value: []byte("v")})
	}
	through := func(d Defects) *Store {
		t.Helper()
		source, target := NewStore(), NewStore()
		source.current.Store(full.current.Load())
		source.Plant(d)
		target.Plant(d)
		made, err := source.Snapshot()
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, made.(snapshot).write(&b))
		require.NoError(t, target.Restore(io.NopCloser(&b)))
		require.Equal(t, keys, source.current.Load().tree.Len(), "the source itself keeps all")
		return target
	}
	require.Equal(t, full.Query(Query{Kind: List}).Entries, through(Defects{}).Query(Query{Kind: List}).Entries)
	left := through(Defects{SnapshotDropsKey: true}).current.Load().tree.Len()
	require.Greater(t, left, keys/2)
	require.Less(t, left, keys)
	again := through(Defects{RestoreResetsIndex: true})
	require.Equal(t, keys, again.current.Load().tree.Len())
	for _, e := range again.Query(Query{Kind: List}).Entries {
		require.LessOrEqual(t, e.ModifyIndex, uint64(keys))
	}
	require.Equal(t, full.Applied(), again.Applied())
}

func newSession(t *testing.T, s *Store, index uint64, one Session) {
	t.Helper()
	c, err := SessionCommand(one)
	require.NoError(t, err)
	require.True(t, apply(s, index, c).OK)
}

func TestDefectsOfSessions(t *testing.T) {
	play := func(d Defects) *Store {
		s := NewStore()
		s.Plant(d)
		newSession(t, s, 1, Session{ID: "a"})
		newSession(t, s, 2, Session{ID: "d", Delete: true})
		for i, key := range []string{"k1", "k2"} {
			require.True(t, apply(s, uint64(3+i), Command{Op: Acquire, Key: key, Session: "a"}).OK)
			require.True(t, apply(s, uint64(5+i), Command{Op: Acquire, Key: "of " + key, Session: "d"}).OK)
		}
		return s
	}
	require.False(t, apply(play(Defects{}), 9, Command{Op: Release, Key: "k1", Session: "d"}).OK)
	require.True(t, apply(play(Defects{ReleaseByAnyone: true}), 9, Command{Op: Release, Key: "k1", Session: "d"}).OK)

	for _, d := range []Defects{{}, {EndFreesOneKey: true}} {
		s := play(d)
		apply(s, 9, Command{Op: SessionDestroy, Key: "a"})
		require.Empty(t, one(t, s, "k1").Session)
		require.Equal(t, d.EndFreesOneKey, one(t, s, "k2").Session == "a")
	}
	for _, d := range []Defects{{}, {DeleteReleases: true}} {
		s := play(d)
		apply(s, 9, Command{Op: SessionDestroy, Key: "d"})
		for _, key := range []string{"of k1", "of k2"} {
			left := s.Query(Query{Kind: Get, Key: key}).Entries
			require.Equal(t, d.DeleteReleases, len(left) == 1)
			if d.DeleteReleases {
				require.Empty(t, left[0].Session)
			}
		}
	}
	for _, d := range []Defects{{}, {SnapshotDropsSessions: true}} {
		s := play(d)
		made, err := s.Snapshot()
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, made.(snapshot).write(&b))
		restored := NewStore()
		require.NoError(t, restored.Restore(io.NopCloser(&b)))
		_, kept := restored.Session("a")
		require.Equal(t, !d.SnapshotDropsSessions, kept)
		_, kept = s.Session("a")
		require.True(t, kept, "the source itself keeps all")
		require.Equal(t, "a", one(t, restored, "k1").Session)
	}
}

// Keys are written and deleted by their prefix within one batch: what is left is counted, and who watches is woken.
func TestDeleteTreeInABatch(t *testing.T) {
	s, restored := NewStore(), NewStore()
	apply(s, 1, Command{Op: Put, Key: "foo/a"})
	apply(s, 2, Command{Op: Put, Key: "foo/b"})
	apply(s, 3, Command{Op: Put, Key: "zip"})
	key, prefix := s.Query(Query{Kind: Get, Key: "foo/b"}), s.Query(Query{Kind: List, Key: "foo/"})
	var batch []*raft.Log
	for i, c := range []Command{{Op: Put, Key: "foo/c"}, {Op: DeleteTree, Key: "foo/"}} {
		batch = append(batch, &raft.Log{Type: raft.LogCommand, Index: uint64(4 + i), Data: c.Append(nil)})
	}
	s.ApplyBatch(batch)
	require.True(t, closed(key.Changed))
	require.True(t, closed(prefix.Changed))
	require.Equal(t, uint64(5), s.Query(Query{Kind: List, Key: "foo/"}).Index)
	var b bytes.Buffer
	require.NoError(t, s.current.Load().write(&b))
	require.NoError(t, restored.Restore(io.NopCloser(&b)))
	require.Equal(t, []string{"zip"}, restored.Query(Query{Kind: Keys}).Names)
}

// What was deleted and not made again is in the snapshot, and nothing else that was not there.
func TestSnapshotKeepsDeleted(t *testing.T) {
	for _, planted := range []bool{false, true} {
		s, restored := NewStore(), NewStore()
		s.Plant(Defects{SnapshotKeepsDeleted: planted})
		for i, c := range []Command{{Op: Put, Key: "a"}, {Op: Put, Key: "ab"}, {Op: Put, Key: "ac"}, {Op: Put, Key: "b"}, {Op: Delete, Key: "b"}, {Op: DeleteCAS, Key: "a", Index: 9},
			{Op: DeleteTree, Key: "a"}, {Op: Put, Key: "ac"}, {Op: Delete, Key: "c"}} {
			apply(s, uint64(i+1), c)
		}
		made, err := s.Snapshot()
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, made.(snapshot).write(&b))
		require.NoError(t, restored.Restore(io.NopCloser(&b)))
		require.Equal(t, []string{"ac"}, s.Query(Query{Kind: Keys}).Names)
		want := []string{"ac"}
		if planted {
			want = []string{"a", "ab", "ac", "b"}
		}
		require.Equal(t, want, restored.Query(Query{Kind: Keys}).Names)
		require.Equal(t, uint64(8), one(t, restored, "ac").CreateIndex)
	}
}

func TestUnknownCommandChangesNothing(t *testing.T) {
	s := NewStore()
	r := s.Apply(&raft.Log{Type: raft.LogCommand, Index: 1, Data: []byte{99}}).(Result)
	require.NotEmpty(t, r.Err)
	require.False(t, r.OK)
}

func FuzzCommand(f *testing.F) {
	f.Add(Command{Op: CAS, Key: "k", Value: []byte("v"), Flags: 1, Index: 300}.Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCommand(data)
		if err != nil {
			return
		}
		again, err := ParseCommand(c.Append(nil))
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func FuzzSnapshot(f *testing.F) {
	s := NewStore()
	apply(s, 1, Command{Op: Put, Key: "a", Value: []byte("1")})
	var b bytes.Buffer
	require.NoError(f, s.current.Load().write(&b))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readState(bytes.NewReader(data))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		require.NoError(t, s.write(&first))
		again, err := readState(bytes.NewReader(first.Bytes()))
		require.NoError(t, err)
		require.NoError(t, again.write(&second))
		require.Equal(t, first.Bytes(), second.Bytes())
	})
}

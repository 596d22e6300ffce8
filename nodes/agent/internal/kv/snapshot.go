package kv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
	"github.com/hashicorp/raft"
)

// A snapshot is a stream: the magic, the numbers applied, index, deleted, the index of
// sessions, how many sessions and how many entries follow; then the sessions by ID, as JSON,
// and the entries by key. All numbers are unsigned varints; strings
// come after their length. Raft's snapshot store keeps the checksum.
const magic = "flkv2\n"

// Snapshot is for Raft.
func (s *Store) Snapshot() (raft.FSMSnapshot, error) {
	now := s.current.Load()
	if s.defects.SnapshotDropsKey {
		now = now.dropped()
	}
	if s.defects.SnapshotDropsSessions {
		now = now.sessionless()
	}
	if s.defects.SnapshotKeepsDeleted {
		now = now.unburied(s.buried)
	}
	return snapshot{now}, nil
}

type snapshot struct{ *state }

// Persist writes the state to sink. On error the sink is cancelled.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to give back: states are collected as garbage.
func (s snapshot) Release() {}

func (s *state) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	var b []byte
	b = append(b, magic...)
	for _, n := range []uint64{s.applied, s.index, s.deleted, s.sessionIndex, uint64(s.sessions.Len()), uint64(s.tree.Len())} {
		b = binary.AppendUvarint(b, n)
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	var failed error
	s.sessions.Root().Walk(func(_ []byte, one Session) bool {
		failed = one.write(out)
		return failed != nil
	})
	if failed != nil {
		return failed
	}
	s.tree.Root().Walk(func(_ []byte, e Entry) bool {
		_, failed = out.Write(e.append(b[:0]))
		return failed != nil
	})
	if failed != nil {
		return failed
	}
	return out.Flush()
}

func (e Entry) append(b []byte) []byte {
	b = appendBytes(b, []byte(e.Key))
	b = appendBytes(b, e.Value)
	for _, n := range []uint64{e.Flags, e.CreateIndex, e.ModifyIndex, e.LockIndex} {
		b = binary.AppendUvarint(b, n)
	}
	return appendBytes(b, []byte(e.Session))
}

func (s Session) write(out io.Writer) error {
	text, err := json.Marshal(s)
	if err == nil {
		_, err = out.Write(appendBytes(nil, text))
	}
	return err
}

// Restore is for Raft. It leaves the store as it was if the snapshot is damaged.
func (s *Store) Restore(source io.ReadCloser) error {
	next, err := readState(source)
	if err := errors.Join(err, source.Close()); err != nil {
		return fmt.Errorf("kv: restore: %w", err)
	}
	if s.defects.RestoreResetsIndex {
		next.tree, next.index = renumbered(next.tree)
	}
	old := s.current.Swap(next)
	close(old.superseded)
	close(old.abandoned)
	return nil
}

func readState(r io.Reader) (*state, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	if string(head) != magic {
		return nil, fmt.Errorf("%q is not a snapshot", head)
	}
	s := &state{superseded: make(chan struct{}), abandoned: make(chan struct{})}
	var sessions, count uint64
	if err := readUints(in, &s.applied, &s.index, &s.deleted, &s.sessionIndex, &sessions, &count); err != nil {
		return nil, err
	}
	var err error
	if s.sessions, err = readSessions(in, sessions); err != nil {
		return nil, err
	}
	txn := iradix.New[Entry]().Txn()
	for range count {
		e, err := readEntry(in)
		if err != nil {
			return nil, err
		}
		txn.Insert([]byte(e.Key), e)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, errors.Join(errors.New("bytes after the last entry"), err)
	}
	s.tree = txn.Commit()
	return s, nil
}

func readEntry(in *bufio.Reader) (e Entry, err error) {
	key, err := readBytes(in)
	if err != nil {
		return e, err
	}
	e.Key = string(key)
	if e.Value, err = readBytes(in); err != nil {
		return e, err
	}
	if err := readUints(in, &e.Flags, &e.CreateIndex, &e.ModifyIndex, &e.LockIndex); err != nil {
		return e, err
	}
	session, err := readBytes(in)
	e.Session = string(session)
	return e, err
}

func readSessions(in *bufio.Reader, count uint64) (*iradix.Tree[Session], error) {
	txn := iradix.New[Session]().Txn()
	for range count {
		text, err := readBytes(in)
		if err != nil {
			return nil, err
		}
		var s Session
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("a session: %w", err)
		}
		txn.Insert([]byte(s.ID), s)
	}
	return txn.Commit(), nil
}

func readUints(in *bufio.Reader, into ...*uint64) (err error) {
	for _, v := range into {
		if *v, err = binary.ReadUvarint(in); err != nil {
			return err
		}
	}
	return nil
}

func readBytes(in *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, err
	}
	if n > MaxField {
		return nil, fmt.Errorf("a string of %d bytes", n)
	}
	var b bytes.Buffer // grows with what is there, not with what the length claims
	if _, err := io.CopyN(&b, in, int64(n)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

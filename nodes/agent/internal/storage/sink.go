package storage

import (
	"bufio"
	"errors"
	"hash"
	"io/fs"

	"github.com/hashicorp/raft"

	"faultline/nodes"
)

// sink writes one snapshot. Like Raft, it expects one goroutine.
type sink struct {
	store *Snapshots
	id    snapshotID
	meta  raft.SnapshotMeta
	file  nodes.File
	out   *bufio.Writer
	sum   hash.Hash32
	done  bool
}

func (s *sink) ID() string { return s.id.String() }

func (s *sink) Write(b []byte) (int, error) {
	if s.done {
		return 0, fs.ErrClosed
	}
	n, err := s.out.Write(b)
	s.sum.Write(b[:n]) // a hash never fails
	s.meta.Size += int64(n)
	return n, err
}

// Close publishes the snapshot. If it fails, there is none.
func (s *sink) Close() error {
	if s.done {
		return nil
	}
	s.done = true
	if err := s.finish(); err != nil {
		return errors.Join(err, s.remove())
	}
	return s.store.publish(s.id)
}

// finish makes the temporary file whole and durable.
func (s *sink) finish() error {
	footer, err := encodeFooter(s.meta, s.sum.Sum32())
	if err == nil {
		_, err = s.out.Write(footer)
	}
	if err == nil {
		err = s.out.Flush()
	}
	if err == nil {
		err = s.file.Sync()
	}
	return errors.Join(err, s.file.Close())
}

// Cancel gives the snapshot up.
func (s *sink) Cancel() error {
	if s.done {
		return nil
	}
	s.done = true
	return errors.Join(s.file.Close(), s.remove())
}

func (s *sink) remove() error {
	return s.store.disk.Remove(s.store.name(s.id) + temporarySuffix)
}

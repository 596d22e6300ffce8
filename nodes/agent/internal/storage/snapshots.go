package storage

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"faultline/nodes"
)

// Snapshots is a raft.SnapshotStore. A snapshot is seen once it is whole and durable, and
// not before. Its methods may be called by many goroutines.
type Snapshots struct {
	disk   nodes.Disk
	dir    string
	retain int

	mu     sync.Mutex // over what is published
	number uint64     // the highest in an ID
}

var _ raft.SnapshotStore = (*Snapshots)(nil)

// OpenSnapshots opens the snapshots in a directory of the disk, which it makes if need
// be, and removes those that were never finished. It keeps the newest retain of them.
func OpenSnapshots(disk nodes.Disk, dir string, retain int) (*Snapshots, error) {
	if retain < 1 {
		return nil, fmt.Errorf("retain %d snapshots: at least one must be kept", retain)
	}
	s := &Snapshots{disk: disk, dir: dir, retain: retain}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open the snapshots in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Snapshots) open() error {
	if err := makeDir(s.disk, s.dir); err != nil {
		return err
	}
	names, err := s.disk.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, snapshotSuffix+temporarySuffix) {
			if err := s.disk.Remove(path.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	if err := s.disk.SyncDir(s.dir); err != nil { // also for a rename before a kill
		return err
	}
	ids, err := s.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.number = max(s.number, id.number)
	}
	return nil
}

// ids lists the published snapshots, newest first.
func (s *Snapshots) ids() ([]snapshotID, error) {
	names, err := s.disk.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var ids []snapshotID
	for _, name := range names {
		text, ok := strings.CutSuffix(name, snapshotSuffix)
		if !ok {
			continue
		}
		if id, ok := parseSnapshotID(text); ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b snapshotID) int {
		return cmp.Or(cmp.Compare(b.term, a.term), cmp.Compare(b.index, a.index), cmp.Compare(b.number, a.number))
	})
	return ids, nil
}

func (s *Snapshots) name(id snapshotID) string { return path.Join(s.dir, id.String()+snapshotSuffix) }

// List returns the newest snapshots, newest first. A published snapshot whose metadata
// cannot be read is an error: no crash leaves one.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var metas []*raft.SnapshotMeta
	for _, id := range ids[:min(s.retain, len(ids))] {
		f, file, err := s.openFile(id)
		if err != nil {
			return nil, err
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
		metas = append(metas, &f.meta)
	}
	return metas, nil
}

// Open opens a snapshot after it has verified all of it. It may be removed meanwhile
// without harm to the reader.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	parsed, ok := parseSnapshotID(id)
	if !ok {
		return nil, nil, fmt.Errorf("%q is no snapshot's ID", id)
	}
	f, file, err := s.openFile(parsed)
	if err != nil {
		return nil, nil, err
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, f.meta.Size)); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	if sum.Sum32() != f.stateSum {
		err := &CorruptError{s.name(parsed), 0, "the checksum of the state is wrong"}
		return nil, nil, errors.Join(err, file.Close())
	}
	state := bufio.NewReader(io.NewSectionReader(file, 0, f.meta.Size))
	return &f.meta, &snapshotReader{state, file}, nil
}

func (s *Snapshots) openFile(id snapshotID) (footer, nodes.File, error) {
	file, err := s.disk.Open(s.name(id), os.O_RDONLY)
	if err != nil {
		return footer{}, nil, err
	}
	size, err := file.Size()
	if err != nil {
		return footer{}, nil, errors.Join(err, file.Close())
	}
	f, err := readFooter(file, size)
	if err == nil && f.meta.ID != id.String() {
		err = fmt.Errorf("it is snapshot %s", f.meta.ID)
	}
	if err != nil {
		err = &CorruptError{s.name(id), max(0, size-snapshotFooterSize), err.Error()}
		return footer{}, nil, errors.Join(err, file.Close())
	}
	return f, file, nil
}

// Create begins a snapshot.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != 1 {
		return nil, fmt.Errorf("snapshots of version %d are not supported", version)
	}
	s.mu.Lock()
	s.number++
	id := snapshotID{term, index, s.number}
	s.mu.Unlock()
	file, err := s.disk.Open(s.name(id)+temporarySuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	return &sink{
		store: s, id: id, file: file, out: bufio.NewWriter(file), sum: crc32.New(castagnoli),
		meta: raft.SnapshotMeta{
			Version: version, ID: id.String(), Index: index, Term: term,
			Configuration: configuration.Clone(), ConfigurationIndex: configurationIndex,
		},
	}, nil
}

// publish makes a finished temporary file a snapshot, and removes the oldest ones.
func (s *Snapshots) publish(id snapshotID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.disk.Rename(s.name(id)+temporarySuffix, s.name(id)); err != nil {
		return err
	}
	if err := s.disk.SyncDir(s.dir); err != nil {
		return err
	}
	ids, err := s.ids()
	if err != nil {
		return err
	}
	for _, old := range ids[min(s.retain, len(ids)):] {
		if err := s.disk.Remove(s.name(old)); err != nil {
			return err
		}
	}
	return nil
}

package storage

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"faultline/nodes"
)

// segmentSize is the size from which on a segment is followed by a new one.
const segmentSize = 8 << 20

var errClosed = errors.New("the log is closed")

// Log is a raft.LogStore and a raft.StableStore. Entries must come in rising order, but
// may leave gaps. Its methods may be called by many goroutines.
type Log struct {
	disk        nodes.Disk
	dir         string
	segmentSize int64

	writing sync.Mutex // held during each change, from its begin to its end
	broken  error      // why nothing can be changed any more; under writing
	failed  chan error // gets one value when that is not because of Close

	mu       sync.RWMutex // over what follows, which shows only what is durable
	refs     refs
	segments []*segment // the last one is written to
	stable   map[string][]byte
}

var (
	_ raft.LogStore    = (*Log)(nil)
	_ raft.StableStore = (*Log)(nil)
)

// OpenLog opens the log in a directory of the disk, which it makes if need be. It repairs
// what a crash may have left and fails with a CorruptError on anything else. Only one Log
// may be open in a directory; see nodes.Disk.Lock.
func OpenLog(disk nodes.Disk, dir string) (*Log, error) {
	return openLog(disk, dir, segmentSize)
}

func openLog(disk nodes.Disk, dir string, segmentSize int64) (*Log, error) {
	l := &Log{disk: disk, dir: dir, segmentSize: segmentSize, failed: make(chan error, 1)}
	if err := l.open(); err != nil {
		l.closeFiles() // the first error is the cause
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) open() error {
	if err := makeDir(l.disk, l.dir); err != nil {
		return err
	}
	if err := l.disk.SyncDir(l.dir); err != nil { // a killed process may not have come to it
		return err
	}
	var err error
	if l.stable, err = openStable(l.disk, l.dir); err != nil {
		return err
	}
	return l.recover()
}

// Failed gets an error once if the disk fails. What is on it is not known then, so the log
// takes no changes any more until it is opened again: the server should exit.
func (l *Log) Failed() <-chan error { return l.failed }

// FirstIndex is the lowest index stored, 0 if there is none.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.refs.first(), nil
}

// LastIndex is the highest index stored, 0 if there is none.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.refs.last(), nil
}

// GetLog reads an entry; raft.ErrLogNotFound if it is not there.
func (l *Log) GetLog(index uint64, out *raft.Log) error {
	l.mu.RLock()
	defer l.mu.RUnlock() // held while reading: the segment must not be removed meanwhile
	r, ok := l.refs.find(index)
	if !ok {
		return raft.ErrLogNotFound
	}
	payload, err := r.segment.read(r.offset, r.size)
	if err != nil {
		return err
	}
	if err := decodeEntry(payload, out); err != nil {
		return &CorruptError{r.segment.name, r.offset, err.Error()}
	}
	return nil
}

// StoreLog stores one entry; see StoreLogs.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs appends entries, all or none, with one fsync. Each index must be higher than
// the one before: whoever wants to replace entries deletes them first, as Raft does.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	return l.change(func() error {
		payloads := make([][]byte, len(entries))
		before := l.refs.last() // only changes write refs, and this is the only change
		for i, e := range entries {
			if e.Index <= before {
				return refuse("entry %d cannot be stored after entry %d", e.Index, before)
			}
			before = e.Index
			payloads[i] = encodeEntry(e)
		}
		added, err := l.append(kindEntries, payloads)
		if err != nil {
			return err
		}
		for i := range added {
			added[i].index = entries[i].Index
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refs = append(l.refs, added...)
		l.current().live += len(added)
		return nil
	})
}

// DeleteRange deletes the entries from min to max, both included, durably.
func (l *Log) DeleteRange(min, max uint64) error {
	return l.change(func() error {
		in := indexRange{min, max}
		if from, to := l.refs.span(in); from == to {
			return nil
		}
		if _, err := l.append(kindDrop, [][]byte{encodeRange(in)}); err != nil {
			return err
		}
		l.mu.Lock()
		l.refs = l.refs.drop(in)
		l.mu.Unlock()
		return l.removeDead()
	})
}

// Close gives the files up. All that was acknowledged is on the disk already.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if errors.Is(l.broken, errClosed) {
		return nil
	}
	l.broken = errClosed
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, s := range l.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// refusal is an error for which nothing was written.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// change runs one change alone. If it fails, nobody knows what the disk holds, and there
// will be no other.
func (l *Log) change(f func() error) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.broken != nil {
		return l.broken
	}
	err := f()
	if _, ok := errors.AsType[refusal](err); err != nil && !ok {
		l.broken = fmt.Errorf("the log in %s takes no changes since one has failed: %w", l.dir, err)
		l.failed <- l.broken
	}
	return err
}

// append writes a frame and returns where its records lie (without their indexes).
func (l *Log) append(kind frameKind, payloads [][]byte) ([]ref, error) {
	if l.current().size >= l.segmentSize {
		next, err := createSegment(l.disk, l.dir, l.current().number+1)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.segments = append(l.segments, next)
		l.mu.Unlock()
	}
	s := l.current()
	at := s.size
	frame, err := appendFrame(nil, kind, at, payloads)
	if err != nil {
		return nil, refusal{err}
	}
	if err := s.append(frame); err != nil {
		return nil, err
	}
	places := make([]ref, len(payloads))
	at += frameHeaderSize
	for i, p := range payloads {
		size := recordOverhead + len(p)
		places[i] = ref{segment: s, offset: at, size: size}
		at += int64(size)
	}
	return places, nil
}

func (l *Log) current() *segment { return l.segments[len(l.segments)-1] }

// removeDead removes the oldest segments while they hold only deleted entries. Each
// removal is durable before the next: a drop must never go before what it drops.
func (l *Log) removeDead() error {
	for len(l.segments) > 1 && l.segments[0].live == 0 {
		dead := l.segments[0]
		l.mu.Lock()
		l.segments = slices.Clone(l.segments[1:])
		l.mu.Unlock()
		if err := dead.file.Close(); err != nil {
			return err
		}
		if err := l.disk.Remove(dead.name); err != nil {
			return err
		}
		if err := l.disk.SyncDir(l.dir); err != nil {
			return err
		}
	}
	return nil
}

package storage

import (
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// recover replays the segments of the directory.
func (l *Log) recover() error {
	names, err := l.disk.ReadDir(l.dir)
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := segmentNumber(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			return &CorruptError{segmentName(l.dir, numbers[i-1]+1), 0, "the file is missing"}
		}
		if err := l.recoverSegment(n, i == len(numbers)-1); err != nil {
			return err
		}
	}
	if len(l.segments) == 0 {
		next := uint64(1)
		if len(numbers) > 0 {
			next = numbers[0] // its creation was torn
		}
		s, err := createSegment(l.disk, l.dir, next)
		if err != nil {
			return err
		}
		l.segments = []*segment{s}
	}
	return l.removeDead()
}

// recoverSegment replays one segment. Only the last one may be torn.
func (l *Log) recoverSegment(number uint64, last bool) error {
	s, data, err := openSegment(l.disk, l.dir, number)
	if err != nil {
		return err
	}
	torn, err := s.headerTorn(data)
	if torn && !last {
		err = &CorruptError{s.name, 0, "its header is torn, but a later segment exists"}
	}
	if err != nil || torn {
		s.file.Close()
	}
	if err != nil {
		return err
	}
	if torn {
		if err := l.disk.Remove(s.name); err != nil {
			return err
		}
		return l.disk.SyncDir(l.dir)
	}
	l.segments = append(l.segments, s)
	found, err := scanFrames(data, segmentHeaderSize, func(kind frameKind, records []record) error {
		return l.replay(s, kind, records)
	})
	switch {
	case err != nil:
		return err
	case found.damage != nil && !last:
		return &CorruptError{s.name, int64(found.end), found.damage.Error() + ", and a later segment exists"}
	case found.damage != nil && !tornAt(data, found.end):
		return &CorruptError{s.name, int64(found.end), found.damage.Error() + ", and a later write stands behind it"}
	case last:
		return s.settle(data[:found.end], found.last)
	}
	return nil
}

// replay does what a frame says.
func (l *Log) replay(s *segment, kind frameKind, records []record) error {
	for _, r := range records {
		switch kind {
		case kindEntries:
			var e raft.Log
			if err := decodeEntry(r.payload, &e); err != nil {
				return &CorruptError{s.name, r.offset, err.Error()}
			}
			if before := l.refs.last(); e.Index <= before {
				return &CorruptError{s.name, r.offset, fmt.Sprintf("entry %d stands after entry %d", e.Index, before)}
			}
			l.refs = append(l.refs, ref{e.Index, s, r.offset, recordOverhead + len(r.payload)})
			s.live++
		case kindDrop:
			in, err := decodeRange(r.payload)
			if err != nil {
				return &CorruptError{s.name, r.offset, err.Error()}
			}
			l.refs = l.refs.drop(in)
		default:
			return &CorruptError{s.name, r.offset, fmt.Sprintf("a frame of kind %d, which this version does not know", kind)}
		}
	}
	return nil
}

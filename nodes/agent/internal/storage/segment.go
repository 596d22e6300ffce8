package storage

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"faultline/nodes"
)

const (
	segmentMagic      = "FLTLLOG1"
	segmentHeaderSize = 20
	segmentSuffix     = ".log"
)

// segment is one file of the log.
type segment struct {
	number uint64
	name   string // on the disk
	file   nodes.File
	size   int64 // where the next frame goes
	live   int   // entries in it that are not deleted
}

func segmentName(dir string, number uint64) string {
	return path.Join(dir, fmt.Sprintf("%020d%s", number, segmentSuffix))
}

// segmentNumber reads a file name; ok is false for files that are no segments.
func segmentNumber(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}

func segmentHeader(number uint64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte(segmentMagic), number)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// createSegment makes an empty segment that survives a loss of power.
func createSegment(disk nodes.Disk, dir string, number uint64) (*segment, error) {
	s := &segment{number: number, name: segmentName(dir, number), size: segmentHeaderSize}
	var err error
	if s.file, err = disk.Open(s.name, os.O_RDWR|os.O_CREATE|os.O_EXCL); err != nil {
		return nil, err
	}
	if err := s.begin(disk, dir); err != nil {
		s.file.Close() // the first error is the cause
		return nil, err
	}
	return s, nil
}

func (s *segment) begin(disk nodes.Disk, dir string) error {
	if _, err := s.file.WriteAt(segmentHeader(s.number), 0); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// openSegment opens a segment and reads all of it.
func openSegment(disk nodes.Disk, dir string, number uint64) (*segment, []byte, error) {
	s := &segment{number: number, name: segmentName(dir, number)}
	var err error
	if s.file, err = disk.Open(s.name, os.O_RDWR); err != nil {
		return nil, nil, err
	}
	size, err := s.file.Size()
	if err != nil {
		s.file.Close()
		return nil, nil, err
	}
	data := make([]byte, size)
	if _, err := s.file.ReadAt(data, 0); err != nil && !(err == io.EOF && size == 0) {
		s.file.Close()
		return nil, nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	s.size = size
	return s, data, nil
}

// headerTorn reports whether a segment is what a crash left of its creation.
func (s *segment) headerTorn(data []byte) (bool, error) {
	if len(data) >= segmentHeaderSize && string(data[:segmentHeaderSize]) == string(segmentHeader(s.number)) {
		return false, nil
	}
	if len(data) > segmentHeaderSize {
		return false, &CorruptError{s.name, 0, "its header is not that of segment " + strconv.FormatUint(s.number, 10)}
	}
	return true, nil
}

// settle makes durable what was read of the last segment, cut to data, and cuts the file to
// that. A process that was killed, or gave up after a failed fsync, may have left the
// last write in the page cache only, marked clean: so that write, from offset last on, is
// repeated before the fsync.
func (s *segment) settle(data []byte, last int) error {
	if s.size > int64(len(data)) {
		if err := s.file.Truncate(int64(len(data))); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(data[last:], int64(last)); err != nil {
		return err
	}
	s.size = int64(len(data))
	return s.file.Sync()
}

// append writes bytes behind the last frame and makes them durable.
func (s *segment) append(b []byte) error {
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.size += int64(len(b))
	return nil
}

// read gets the entry's payload of a record.
func (s *segment) read(offset int64, size int) ([]byte, error) {
	b := make([]byte, size)
	if n, err := s.file.ReadAt(b, offset); n < size {
		return nil, fmt.Errorf("read %s at offset %d: %w", s.name, offset, err)
	}
	payload, got, err := parseRecord(b)
	if err != nil {
		return nil, &CorruptError{s.name, offset, err.Error()}
	}
	if got != size {
		return nil, &CorruptError{s.name, offset, fmt.Sprintf("a record of %d bytes, not %d", got, size)}
	}
	return payload, nil
}

package storage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"

	"faultline/nodes"
)

const (
	snapshotMagic      = "FLTLSNP1"
	snapshotFooterSize = 8 + 4 + 4 + 4 + 8
	snapshotSuffix     = ".snap"
	maxSnapshotMeta    = 1 << 20
)

// snapshotID orders snapshots: by term, index, and the order in which they were made.
type snapshotID struct{ term, index, number uint64 }

func (id snapshotID) String() string {
	return fmt.Sprintf("%d-%d-%d", id.term, id.index, id.number)
}

func parseSnapshotID(s string) (id snapshotID, ok bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return id, false
	}
	for i, to := range []*uint64{&id.term, &id.index, &id.number} {
		var err error
		if *to, err = strconv.ParseUint(parts[i], 10, 64); err != nil {
			return id, false
		}
	}
	return id, id.String() == s
}

// encodeFooter is what stands behind the state: its metadata and the footer proper.
func encodeFooter(meta raft.SnapshotMeta, stateSum uint32) ([]byte, error) {
	b, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	if len(b) > maxSnapshotMeta {
		return nil, fmt.Errorf("snapshot metadata of %d bytes; the most is %d", len(b), maxSnapshotMeta)
	}
	length := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(meta.Size))
	b = binary.LittleEndian.AppendUint32(b, stateSum)
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	return append(b, snapshotMagic...), nil
}

// footer is what encodeFooter wrote.
type footer struct {
	meta     raft.SnapshotMeta
	stateSum uint32
}

// readFooter reads the footer at the end of a file.
func readFooter(r io.ReaderAt, size int64) (f footer, err error) {
	if size < snapshotFooterSize {
		return f, fmt.Errorf("%d bytes, too few for a snapshot", size)
	}
	tail := make([]byte, snapshotFooterSize)
	if err := readFull(r, tail, size-snapshotFooterSize); err != nil {
		return f, err
	}
	if string(tail[20:]) != snapshotMagic {
		return f, errors.New("it does not end like a snapshot")
	}
	stateSize := binary.LittleEndian.Uint64(tail)
	f.stateSum = binary.LittleEndian.Uint32(tail[8:])
	length := int64(binary.LittleEndian.Uint32(tail[12:]))
	if length > maxSnapshotMeta || length > size-snapshotFooterSize || uint64(size-snapshotFooterSize-length) != stateSize {
		return f, errors.New("its sizes do not add up")
	}
	text := make([]byte, length)
	if err := readFull(r, text, int64(stateSize)); err != nil {
		return f, err
	}
	if crc32.Update(checksum(text), castagnoli, tail[:16]) != binary.LittleEndian.Uint32(tail[16:]) {
		return f, errors.New("the checksum of its metadata is wrong")
	}
	if err := json.Unmarshal(text, &f.meta); err != nil {
		return f, err
	}
	if f.meta.Size != int64(stateSize) {
		return f, errors.New("its metadata contain another size")
	}
	return f, nil
}

func readFull(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		return err
	}
	return nil
}

// snapshotReader reads the state of an open snapshot.
type snapshotReader struct {
	io.Reader
	file nodes.File
}

func (r *snapshotReader) Close() error { return r.file.Close() }

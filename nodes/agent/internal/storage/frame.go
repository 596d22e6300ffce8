package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// CorruptError says that the disk holds what cannot have been left by a crash.
type CorruptError struct {
	File   string
	Offset int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt at offset %d: %s", e.File, e.Offset, e.Reason)
}

type frameKind uint32

const (
	kindEntries frameKind = 1
	kindDrop    frameKind = 2
)

const (
	frameMagic      = 0x424c_5446 // "FTLB" on disk
	frameHeaderSize = 28
	recordOverhead  = 8
	maxFrameBody    = 1 << 30
)

// frameHeader is what stands before a frame's body. Its offset makes a copy of a frame,
// inside some entry's data, no frame.
type frameHeader struct {
	kind    frameKind
	offset  int64
	body    int
	records int
}

// appendFrame adds a frame to b; offset is where in the file b's end will come to lie.
func appendFrame(b []byte, kind frameKind, offset int64, payloads [][]byte) ([]byte, error) {
	body := 0
	for _, p := range payloads {
		body += recordOverhead + len(p)
	}
	if body > maxFrameBody {
		return nil, fmt.Errorf("a batch of %d bytes; the most is %d", body, maxFrameBody)
	}
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, frameMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	b = binary.LittleEndian.AppendUint32(b, uint32(body))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payloads)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b[start:]))
	for _, p := range payloads {
		length := binary.LittleEndian.AppendUint32(nil, uint32(len(p)))
		b = append(b, length...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Update(checksum(length), castagnoli, p))
		b = append(b, p...)
	}
	return b, nil
}

// parseHeader reads the header at data[at:]; ok reports whether a whole and true one is there.
func parseHeader(data []byte, at int) (h frameHeader, ok bool) {
	if at+frameHeaderSize > len(data) || binary.LittleEndian.Uint32(data[at:]) != frameMagic {
		return h, false
	}
	raw := data[at : at+frameHeaderSize]
	if checksum(raw[:24]) != binary.LittleEndian.Uint32(raw[24:]) {
		return h, false
	}
	h = frameHeader{
		kind:    frameKind(binary.LittleEndian.Uint32(raw[4:])),
		offset:  int64(binary.LittleEndian.Uint64(raw[8:])),
		body:    int(binary.LittleEndian.Uint32(raw[16:])),
		records: int(binary.LittleEndian.Uint32(raw[20:])),
	}
	return h, h.offset == int64(at)
}

// record is a payload and where in the file its record (the length) begins.
type record struct {
	offset  int64
	payload []byte
}

// parseRecord reads the record at the start of data; size is what it takes.
func parseRecord(data []byte) (payload []byte, size int, err error) {
	if len(data) < recordOverhead {
		return nil, 0, fmt.Errorf("%d bytes are left, too few for a record", len(data))
	}
	length := uint64(binary.LittleEndian.Uint32(data))
	if length > uint64(len(data)-recordOverhead) {
		return nil, 0, fmt.Errorf("a record of %d bytes, but %d are left", length, len(data)-recordOverhead)
	}
	payload = data[recordOverhead : recordOverhead+int(length)]
	if crc32.Update(checksum(data[:4]), castagnoli, payload) != binary.LittleEndian.Uint32(data[4:]) {
		return nil, 0, fmt.Errorf("the checksum of a record of %d bytes is wrong", length)
	}
	return payload, recordOverhead + int(length), nil
}

// parseBody splits a frame's body, which begins at offset in the file.
func parseBody(body []byte, offset int64, records int) ([]record, error) {
	var out []record
	for at := 0; at < len(body); {
		payload, size, err := parseRecord(body[at:])
		if err != nil {
			return nil, err
		}
		out = append(out, record{offset: offset + int64(at), payload: payload})
		at += size
	}
	if len(out) != records {
		return nil, fmt.Errorf("%d records, not %d", len(out), records)
	}
	return out, nil
}

// scan is what a pass over a segment's frames found.
type scan struct {
	last   int   // where the last whole frame begins, or 0 if there is none
	end    int   // where it ends
	damage error // what is wrong there, if that is not the end of the segment
}

// scanFrames visits the whole frames of a segment from offset at on, in order.
func scanFrames(data []byte, at int, visit func(frameKind, []record) error) (s scan, err error) {
	s.end = at
	for s.end < len(data) {
		h, ok := parseHeader(data, s.end)
		body := s.end + frameHeaderSize
		if !ok {
			s.damage = errors.New("no frame begins here")
			return s, nil
		}
		if h.body > len(data)-body {
			s.damage = fmt.Errorf("a frame of %d bytes, but %d are left", h.body, len(data)-body)
			return s, nil
		}
		var records []record
		if records, s.damage = parseBody(data[body:body+h.body], int64(body), h.records); s.damage != nil {
			return s, nil
		}
		if err := visit(h.kind, records); err != nil {
			return s, err
		}
		s.last, s.end = s.end, body+h.body
	}
	return s, nil
}

// tornAt reports whether damage at an offset of the last segment can be what a crash left
// of the last write: nothing that was written later stands behind it. A write that was
// never synced may reach the disk in any order, so its first page can be missing while
// later ones are there; but a whole frame behind it is another, later write.
func tornAt(data []byte, at int) bool {
	if h, ok := parseHeader(data, at); ok {
		return at+frameHeaderSize+h.body >= len(data)
	}
	for p := at + 1; p+frameHeaderSize <= len(data); p++ {
		if _, ok := parseHeader(data, p); ok {
			return false
		}
	}
	return true
}

package storage

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const entryOverhead = 8 + 8 + 1 + 8 + 4 + 4

func encodeEntry(l *raft.Log) []byte {
	b := make([]byte, 0, entryOverhead+len(l.Data)+len(l.Extensions))
	b = binary.LittleEndian.AppendUint64(b, l.Index)
	b = binary.LittleEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	b = binary.LittleEndian.AppendUint64(b, uint64(l.AppendedAt.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(l.AppendedAt.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Data)))
	b = append(b, l.Data...)
	return append(b, l.Extensions...)
}

// decodeEntry reads a payload; the entry keeps the slice.
func decodeEntry(payload []byte, l *raft.Log) error {
	if len(payload) < entryOverhead {
		return fmt.Errorf("an entry of %d bytes; the least is %d", len(payload), entryOverhead)
	}
	nanoseconds := binary.LittleEndian.Uint32(payload[25:])
	length := uint64(binary.LittleEndian.Uint32(payload[29:]))
	rest := payload[entryOverhead:]
	if length > uint64(len(rest)) {
		return fmt.Errorf("an entry with %d bytes of data, but %d are left", length, len(rest))
	}
	if nanoseconds >= 1e9 {
		return fmt.Errorf("an entry with %d nanoseconds in a second", nanoseconds)
	}
	*l = raft.Log{
		Index:      binary.LittleEndian.Uint64(payload),
		Term:       binary.LittleEndian.Uint64(payload[8:]),
		Type:       raft.LogType(payload[16]),
		AppendedAt: time.Unix(int64(binary.LittleEndian.Uint64(payload[17:])), int64(nanoseconds)).UTC(),
	}
	if length > 0 {
		l.Data = rest[:length:length]
	}
	if ext := rest[length:]; len(ext) > 0 {
		l.Extensions = ext
	}
	return nil
}

// indexRange is the payload of a drop.
type indexRange struct{ min, max uint64 }

func encodeRange(r indexRange) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, r.min), r.max)
}

func decodeRange(payload []byte) (indexRange, error) {
	if len(payload) != 16 {
		return indexRange{}, fmt.Errorf("a drop of %d bytes, not 16", len(payload))
	}
	return indexRange{binary.LittleEndian.Uint64(payload), binary.LittleEndian.Uint64(payload[8:])}, nil
}

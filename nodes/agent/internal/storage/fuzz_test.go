package storage

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func FuzzEntryRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint64(2), byte(0), int64(3), uint32(4), []byte("data"), []byte("ext"))
	f.Add(uint64(math.MaxUint64), uint64(0), byte(255), int64(-62135596800), uint32(0), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, index, term uint64, kind byte, sec int64, nsec uint32, data, ext []byte) {
		want := raft.Log{Index: index, Term: term, Type: raft.LogType(kind),
			AppendedAt: time.Unix(sec, int64(nsec%1e9)).UTC()}
		if len(data) > 0 {
			want.Data = data
		}
		if len(ext) > 0 {
			want.Extensions = ext
		}
		var got raft.Log
		require.NoError(t, decodeEntry(encodeEntry(&want), &got))
		require.Equal(t, want, got)
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encodeEntry(entry(1, "data")))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var e raft.Log
		if decodeEntry(payload, &e) == nil {
			require.Equal(t, payload, encodeEntry(&e), "an entry has one form")
		}
	})
}

func FuzzScanFrames(f *testing.F) {
	segment, err := appendFrame(segmentHeader(1), kindEntries, segmentHeaderSize, [][]byte{encodeEntry(entry(1, "data")), {}})
	require.NoError(f, err)
	segment, err = appendFrame(segment, kindDrop, int64(len(segment)), [][]byte{encodeRange(indexRange{1, 2})})
	require.NoError(f, err)
	f.Add(segment)
	f.Add(segment[:len(segment)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < segmentHeaderSize {
			return
		}
		again := bytes.Clone(data[:segmentHeaderSize])
		s, err := scanFrames(data, segmentHeaderSize, func(kind frameKind, records []record) error {
			var payloads [][]byte
			for _, r := range records {
				payloads = append(payloads, r.payload)
			}
			var err error
			again, err = appendFrame(again, kind, int64(len(again)), payloads)
			return err
		})
		require.NoError(t, err)
		require.Equal(t, data[:s.end], again, "what was read is what would be written")
		if s.damage != nil {
			tornAt(data, s.end)
		}
	})
}

func FuzzDecodeStable(f *testing.F) {
	f.Add(encodeStable(map[string][]byte{"term": {1}, "vote": {}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := decodeStable(data)
		if err == nil {
			again, err := decodeStable(encodeStable(values))
			require.NoError(t, err)
			require.Equal(t, values, again)
		}
	})
}

func FuzzReadFooter(f *testing.F) {
	footer, err := encodeFooter(raft.SnapshotMeta{ID: "1-2-3", Size: 5}, checksum([]byte("state")))
	require.NoError(f, err)
	f.Add(append([]byte("state"), footer...))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readFooter(bytes.NewReader(data), int64(len(data)))
		if err == nil {
			require.LessOrEqual(t, got.meta.Size, int64(len(data)))
		}
	})
}

func FuzzParseSnapshotID(f *testing.F) {
	f.Add("1-2-3")
	f.Add("01-2-3")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := parseSnapshotID(s); ok {
			require.Equal(t, s, id.String())
		}
	})
}

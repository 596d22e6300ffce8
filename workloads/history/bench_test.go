package history

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var benchEvent = Event{Process: 3, Type: OK, F: "cas", Key: "k17", Value: json.RawMessage("[123456,123457]"),
	Node: "dc1-s1", ModifyIndex: 98765, Hops: []Hop{{"dc1-s1", "follower", 1.25}, {"dc1-s2", "leader", 0.75}}}

func BenchmarkAdd(b *testing.B) {
	log, err := Create(filepath.Join(b.TempDir(), "history.jsonl"))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := log.Add(benchEvent); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	require.NoError(b, log.Close())
}

func BenchmarkAddParallel(b *testing.B) {
	log, err := Create(filepath.Join(b.TempDir(), "history.jsonl"))
	require.NoError(b, err)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := log.Add(benchEvent); err != nil {
				b.Error(err)
				return
			}
		}
	})
	require.NoError(b, log.Close())
}

func BenchmarkRead(b *testing.B) {
	plain := benchEvent
	plain.Hops = nil
	b.Run("plain", func(b *testing.B) { benchmarkRead(b, plain) })
	b.Run("with hops", func(b *testing.B) { benchmarkRead(b, benchEvent) })
}

func benchmarkRead(b *testing.B, e Event) {
	var text []byte
	for i := range 1000 {
		e.Index = int64(i)
		text = e.Append(text)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		events, _, err := Read(bytes.NewReader(text))
		if err != nil || len(events) != 1000 {
			b.Fatal(err, len(events))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

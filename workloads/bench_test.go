package workloads

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// null answers at once.
type null struct {
	nodes.Conn
	index *atomic.Uint64
}

func (n null) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, n, op)
}

func (n null) Get(context.Context, string, history.Mode) (nodes.Answer, error) {
	return nodes.Answer{Value: "12345", Found: true, Index: n.index.Load()}, nil
}
func (n null) Put(context.Context, string, string) (nodes.Answer, error) {
	return nodes.Answer{Index: n.index.Add(1)}, nil
}
func (n null) CAS(context.Context, string, string, uint64) (nodes.Answer, error) {
	return nodes.Answer{Index: n.index.Add(1)}, nil
}

// until ends a run after so many operations.
type until struct {
	Generator
	left atomic.Int64
	end  context.CancelFunc
}

func (u *until) Next() Op {
	if u.left.Add(-1) == 0 {
		u.end()
	}
	return u.Generator.Next()
}

// BenchmarkRunnerNull is what the harness itself can do: the whole of a run, recorded to a
// file, against clients that cost nothing.
func BenchmarkRunnerNull(b *testing.B) {
	log, err := history.Create(filepath.Join(b.TempDir(), "history.jsonl"))
	require.NoError(b, err)
	gen, err := NewRegister(Options{})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	counted := &until{Generator: gen, end: cancel}
	counted.left.Store(int64(b.N))
	var index atomic.Uint64
	r, err := NewRunner(Config{Generator: counted, Log: log, Nodes: []string{"a"},
		Clients: map[string]nodes.Conn{"a": null{index: &index}}, Concurrency: 20, Timeout: time.Second})
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, r.Run(ctx))
	b.StopTimer()
	b.ReportMetric(float64(r.Stats().OK)/b.Elapsed().Seconds(), "ops/s")
	require.NoError(b, log.Close())
}

// BenchmarkRecording is what the record of one operation costs: its two events, made and
// written.
func BenchmarkRecording(b *testing.B) {
	log, err := history.Create(filepath.Join(b.TempDir(), "history.jsonl"))
	require.NoError(b, err)
	gen, err := NewRegister(Options{})
	require.NoError(b, err)
	ops := make([]Op, 1000)
	for i := range ops {
		ops[i] = gen.Next()
	}
	answer := Outcome{Type: history.OK, Answer: nodes.Answer{Value: "12345", Found: true, Index: 77}}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		op := ops[i%len(ops)]
		i++
		if _, err := log.Add(invocation(3, "dc1-s1", op)); err != nil {
			b.Fatal(err)
		}
		if _, err := log.Add(completion(3, "dc1-s1", op, answer)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	require.NoError(b, log.Close())
}

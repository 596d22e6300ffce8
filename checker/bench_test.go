package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// simulated is a history of a correct register on every key: clients at a time, and of a
// hundred changes so many whose answer was lost.
func simulated(keys, perKey, clients, lostOfHundred int, stale bool) []history.Operation {
	r := rand.New(rand.NewPCG(5, 5))
	var ops []history.Operation
	next := int64(0)
	for k := range keys {
		states := []string{"null"}
		var known = []string{"null"}
		for i := range perKey {
			state := states[len(states)-1]
			at := int64(k*perKey+i) * 1e6
			op := history.Operation{ID: int64(len(ops)), Process: history.Process(len(ops)), Key: fmt.Sprintf("k%d", k), Type: history.OK,
				Node: fmt.Sprintf("dc1-s%d", i%3+1), Mode: "default", Invoke: max(0, at-r.Int64N(int64(clients)*1e6)), Return: at + 1 + r.Int64N(int64(clients)*1e6)}
			lost := r.IntN(100) < lostOfHundred
			next++
			switch kind := r.IntN(10); {
			case kind < 5:
				op.F, op.Output, lost = "read", []byte(state), false
				if stale && r.IntN(4) == 0 {
					op.Output = []byte(states[max(0, len(states)-1-r.IntN(3))])
				}
			case kind < 8:
				op.F, op.Input = "write", history.Int(next)
				known = append(known, string(op.Input))
				if !lost || r.IntN(2) == 0 {
					states = append(states, string(op.Input))
				}
			default:
				op.F = "cas"
				old := known[max(0, len(known)-1-r.IntN(2))]
				op.Input = []byte(fmt.Sprintf("[%s,%d]", old, next))
				switch {
				case old == state && (!lost || r.IntN(2) == 0):
					states = append(states, string(history.Int(next)))
					known = append(known, string(history.Int(next)))
				case old != state && !lost:
					op.Type, op.Error, op.Current = history.Fail, "cas-mismatch", []byte(state)
				case !lost:
					op.Type, op.Error = history.Fail, "no-leader"
				}
			}
			if lost {
				op.Type, op.Return = history.Info, history.Pending
			}
			ops = append(ops, op)
		}
	}
	sortByInvoke(ops)
	return ops
}

func TestASimulatedRunIsValidAndItsStaleOneIsExplained(t *testing.T) {
	run := registerRun("default", simulated(40, 150, 12, 5, false))
	require.Equal(t, Valid, checkLinearizable(context.Background(), run).Verdict)

	run.Ops = simulated(40, 150, 3, 5, true)
	r := checkLinearizable(context.Background(), run)
	require.Equal(t, Invalid, r.Verdict)
	for _, c := range r.Counterexamples {
		require.LessOrEqual(t, len(c.Ops), 4, "%s", c.Why)
		t.Logf("%s: %s", c.Key, c.Why)
	}
}

// BenchmarkLinearizable judges histories, and beside that lets Porcupine alone judge the same: from the
// operations of a run to a verdict. MB is the peak of the heap above the history itself.
func BenchmarkLinearizable(b *testing.B) {
	for _, c := range []struct {
		name string
		load load
	}{
		{"easy, 300 keys of 333", load{keys: 300, perKey: 333, clients: 10, lost: 3}},
		{"easy, 1 key of 10000", load{keys: 1, perKey: 10_000, clients: 10, lost: 3}},
		{"easy, 1 key of 100000", load{keys: 1, perKey: 100_000, clients: 10, lost: 3}},
		{"stale, 300 keys of 333", load{keys: 300, perKey: 333, clients: 10, lost: 3, stale: 30}},
		{"stale, 1 key of 100000", load{keys: 1, perKey: 100_000, clients: 10, lost: 3, stale: 1}},
		{"20 keys of 50000, none open", load{keys: 20, perKey: 50_000, clients: 10}},
		{"20 keys of 50000, 3 of 100 open", load{keys: 20, perKey: 50_000, clients: 10, lost: 3}},
		{"20 keys of 50000, 20 of 100 open", load{keys: 20, perKey: 50_000, clients: 10, lost: 20}},
		{"20 keys of 50000, 60 of 100 open", load{keys: 20, perKey: 50_000, clients: 10, lost: 60}},
		{"opaque, 1 key of 1000, 10 clients", load{keys: 1, perKey: 1000, clients: 10, lost: 3, opaque: true}},
		{"opaque, 1 key of 10000, 10 clients", load{keys: 1, perKey: 10_000, clients: 10, lost: 3, opaque: true}},
		{"opaque, 1 key of 1000, 50 clients", load{keys: 1, perKey: 1000, clients: 50, lost: 3, opaque: true}},
		{"opaque, 1 key of 10000, 50 clients", load{keys: 1, perKey: 10_000, clients: 50, lost: 3, opaque: true}},
		{"opaque and deletes, 300 keys of 150", load{keys: 300, perKey: 150, clients: 10, lost: 3, opaque: true, deletes: 20}},
		{"opaque and deletes, 1 key of 10000", load{keys: 1, perKey: 10_000, clients: 10, lost: 3, opaque: true, deletes: 20}},
		{"opaque and deletes, 50 clients", load{keys: 1, perKey: 10_000, clients: 50, lost: 3, opaque: true, deletes: 20}},
		{"deletes, 1 key of 10000", load{keys: 1, perKey: 10_000, clients: 10, lost: 3, deletes: 20}},
		{"deletes, 20 keys of 50000", load{keys: 20, perKey: 50_000, clients: 10, lost: 3, deletes: 20}},
		{"repeated, 1 key of 1000", load{keys: 1, perKey: 1000, clients: 10, lost: 3, values: 5}},
		{"repeated, 1 key of 10000", load{keys: 1, perKey: 10_000, clients: 10, lost: 3, values: 5}},
		{"repeated, 1 key of 1000, 20 clients", load{keys: 1, perKey: 1000, clients: 20, lost: 3, values: 5}},
	} {
		run := registerRun("default", c.load.history())
		b.Run(c.name, func(b *testing.B) {
			measured(b, func(ctx context.Context) string { return string(checkLinearizable(ctx, run).Verdict) })
		})
		b.Run(c.name+", Porcupine alone", func(b *testing.B) {
			if mb := needs(c.load.perKey) >> 20; mb > 4096 {
				b.Skipf("it needs at least %d MB a key", mb)
			}
			measured(b, func(ctx context.Context) string { return porcupineAlone(b, ctx, run.Ops) })
		})
	}
}

const benchTime = 10 * time.Second // for one verdict

func measured(b *testing.B, judge func(context.Context) string) {
	b.ReportAllocs()
	verdict, peak := "", uint64(0)
	for b.Loop() {
		peak = max(peak, peakOf(func() {
			ctx, cancel := context.WithTimeout(context.Background(), benchTime)
			defer cancel()
			verdict = judge(ctx)
		}))
	}
	b.ReportMetric(float64(peak)/(1<<20), "MB")
	b.Log(verdict)
}

// peakOf is how far the heap grows meanwhile, in bytes, garbage and all.
func peakOf(do func()) uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	now := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, peak := now(), uint64(0)
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			peak = max(peak, now())
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	do()
	close(over)
	<-done
	return max(peak, before) - before
}

// porcupineAlone is what Porcupine says of operations, without anything of ours but the model.
func porcupineAlone(t testing.TB, ctx context.Context, ops []history.Operation) string {
	model := registerModel()
	model.Partition = func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := map[string]int{}
		for _, op := range all {
			key := op.Input.(*step).op.Key
			i, ok := at[key]
			if !ok {
				i = len(parts)
				at[key], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	}
	deadline, _ := ctx.Deadline()
	return strings.ToLower(string(porcupine.CheckOperationsTimeout(model, toPorcupine(constraintsOf(t, ops)), time.Until(deadline))))
}

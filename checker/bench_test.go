package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

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

func BenchmarkLinearizable(b *testing.B) {
	for _, c := range []struct {
		name string
		ops  []history.Operation
	}{
		{"300 keys of 150", simulated(300, 150, 10, 3, false)},
		{"300 keys of 150, a fifth lost", simulated(300, 150, 10, 20, false)},
		{"300 keys of 150, stale", simulated(300, 150, 10, 3, true)},
		{"300 keys of 150, 50 clients", simulated(300, 150, 50, 3, false)},
		{"1 key of 10000", simulated(1, 10000, 10, 3, false)},
		{"1 key of 10000, stale", simulated(1, 10000, 10, 3, true)},
		{"1 key of 100000", simulated(1, 100000, 10, 3, false)},
		{"1 key of 100000, stale", simulated(1, 100000, 10, 3, true)},
		{"20 keys of 50000", simulated(20, 50000, 10, 3, false)},
		{"1 key of 2000, 50 clients", simulated(1, 2000, 50, 3, false)},
		{"1 key of 2000, 50 clients, stale", simulated(1, 2000, 50, 3, true)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var r Result
			for b.Loop() {
				run := registerRun("default", c.ops)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				r = checkLinearizable(ctx, run)
				cancel()
			}
			b.Log(r.Verdict, len(r.Counterexamples), r.Summary[:min(len(r.Summary), 300)])
			b.ReportMetric(float64(len(c.ops)), "ops")
		})
	}
}

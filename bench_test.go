package faultline

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// BenchmarkAgent3 is what clients get from the reference agent on three containers, with
// as many operations as they can send: rate is the harness, the agents and the machine
// together. It needs Docker.
func BenchmarkAgent3(b *testing.B) {
	if _, _, err := Default().chooseRuntime(b.Context(), "docker", nil); err != nil {
		b.Skip(err)
	}
	const length = 5 * time.Second
	var total, seconds float64
	for b.Loop() {
		outcome, err := Run(b.Context(), Scenario{Name: "bench", Topology: "dc1-3", Rate: 1e6, Concurrency: 64, Keys: 64,
			TimeLimit: length, Quiet: 100 * time.Millisecond}, Options{Store: b.TempDir()})
		require.NoError(b, err)
		for _, op := range outcome.Report.Run.Ops {
			if op.Type == history.OK {
				total++
			}
		}
		seconds += length.Seconds()
	}
	b.ReportMetric(total/seconds, "ops/s")
	b.ReportMetric(0, "ns/op") // the length of a run says nothing
}

// BenchmarkForwardedWrite is how long the writes of one datacenter take in another, 40 ms away, and in their
// own, at a rate that keeps nobody waiting: over is the median of the former beyond one round trip.
func BenchmarkForwardedWrite(b *testing.B) {
	const oneWay = 20 * time.Millisecond
	t, err := topologies.Load("dc2-3x3")
	require.NoError(b, err)
	t = t.WithWAN(func(l *faults.Link) { *l = faults.Link{Delay: oneWay} })
	var far, near []time.Duration
	for b.Loop() {
		outcome, err := Run(b.Context(), Scenario{Name: "bench", Runtime: "local", Rate: 50, TimeLimit: 10 * time.Second,
			Quiet: 100 * time.Millisecond}, Options{Store: b.TempDir(), Topology: t})
		require.NoError(b, err)
		for _, op := range outcome.Report.Run.Ops {
			if op.F != history.OpWrite || op.Type != history.OK {
				continue
			}
			took := time.Duration(op.Return - op.Invoke)
			if n, _ := t.Node(op.Node); op.DC == "" || op.DC == n.DC {
				near = append(near, took)
			} else {
				far = append(far, took)
			}
		}
	}
	median := func(all []time.Duration) time.Duration {
		require.NotEmpty(b, all)
		slices.Sort(all)
		return all[len(all)/2]
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(median(far)-2*oneWay), "over-ms")
	b.ReportMetric(ms(median(near)), "local-ms")
	b.ReportMetric(0, "ns/op") // the length of a run says nothing
}

package faultline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

package docker

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
)

// BenchmarkLinks is how exactly links between two pods are delayed and lossy: each round
// sends 10,000 datagrams over a link that delays by 40 ms, and as many over one that loses
// 5 of 100. What the delay reads too much is the machine's own and the reader's.
func BenchmarkLinks(b *testing.B) {
	c := up(b, "bench-links")
	for _, state := range []faults.Link{{Delay: 40 * time.Millisecond}, {Loss: 0.05, Seed: 1}} {
		b.Run(state.String(), func(b *testing.B) {
			want := faults.Conditions{}
			want.Cut([]string{s1}, []string{s2}, state)
			require.NoError(b, c.Set(b.Context(), want))
			const count, length = 4, 2500
			sent, arrived := 0, 0
			var medians []time.Duration
			for b.Loop() {
				for range count {
					got := sendTrain(b, c, faults.Train{Count: length, Bytes: 64, Pace: 200 * time.Microsecond, Wait: 200 * time.Millisecond})
					sent, arrived, medians = sent+length, arrived+got.Arrived, append(medians, got.Median)
				}
			}
			slices.Sort(medians)
			b.ReportMetric(float64(medians[len(medians)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(100*float64(sent-arrived)/float64(sent), "%lost")
			b.ReportMetric(float64(sent)/float64(b.N), "datagrams/op")
		})
	}
}

// trains numbers the trains of all benchmarks.
var trains atomic.Uint64

// sendTrain sends a train from the first node to the second.
func sendTrain(b *testing.B, c *cluster, t faults.Train) faults.TrainMeasurement {
	nonce, from, to := 1<<33+trains.Add(1), c.byName[s1].addr, c.byName[s2].addr
	_, err := c.group.Ask(b.Context(), s1, injector.Request{Probe: &injector.Probe{
		Nonce: nonce, TimeoutMS: 1, Trains: map[netip.Addr]faults.Train{to: t}}})
	require.NoError(b, err)
	heard, err := c.group.Ask(b.Context(), s2, injector.Request{Heard: &injector.Heard{Nonce: nonce}})
	require.NoError(b, err)
	return heard.Trains[from]
}

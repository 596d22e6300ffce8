package docker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/injector"
)

// BenchmarkPodsUp5 is the time of a Start of 5 nodes with the image at hand.
func BenchmarkPodsUp5(b *testing.B) {
	s := spec(b, "bench-up", "dc1-5")
	_, err := needEngine(b).ensureImage(b.Context(), s.System, func(string) {})
	require.NoError(b, err)
	for b.Loop() {
		c, err := New().Start(b.Context(), s)
		require.NoError(b, err)
		b.StopTimer()
		began := time.Now()
		require.NoError(b, c.Close(context.Background()))
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/close")
		b.StartTimer()
	}
}

// BenchmarkRepartition5 is the time of a Set that changes links of all of 5 nodes.
func BenchmarkRepartition5(b *testing.B) {
	c := up(b, "bench-set", "dc1-5")
	names := []string{s1, s2, s3, "dc1-s4", "dc1-s5"}
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		rotated := slices.Concat(names[i%5:], names[:i%5])
		var want nodes.Conditions
		want.Cut(rotated[:2], rotated[2:], nodes.LinkState{Drop: true})
		want.Cut(rotated[2:], rotated[:2], nodes.LinkState{Drop: true})
		began := time.Now()
		require.NoError(b, c.Set(b.Context(), want))
		times = append(times, time.Since(began))
	}
	report(b, times)
}

// BenchmarkMeasure5 is the time to probe 20 links, all healthy, or cut in two.
func BenchmarkMeasure5(b *testing.B) {
	c := up(b, "bench-measure", "dc1-5")
	var cut nodes.Conditions
	cut.Cut([]string{s1, s2}, []string{s3, "dc1-s4", "dc1-s5"}, nodes.LinkState{Drop: true})
	for name, conditions := range map[string]nodes.Conditions{"healthy": {}, "cut": cut} {
		b.Run(name, func(b *testing.B) {
			require.NoError(b, c.Set(b.Context(), conditions))
			for b.Loop() {
				_, err := c.Measure(b.Context())
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkLinks is how exactly links between two pods are delayed and lossy: each round
// sends 10,000 datagrams over a link that delays by 40 ms, and as many over one that loses
// 5 of 100. What the delay reads too much is the machine's own and the reader's.
func BenchmarkLinks(b *testing.B) {
	c := up(b, "bench-links", "dc1-3")
	for _, state := range []nodes.LinkState{{Delay: 40 * time.Millisecond}, {Loss: 0.05, Seed: 1}} {
		b.Run(state.String(), func(b *testing.B) {
			want := nodes.Conditions{}
			want.Cut([]string{s1}, []string{s2}, state)
			require.NoError(b, c.Set(b.Context(), want))
			const count, length = 4, 2500
			sent, arrived := 0, 0
			var medians []time.Duration
			for b.Loop() {
				for range count {
					got := sendTrain(b, c, injector.Train{Count: length, Bytes: 64, Pace: 200 * time.Microsecond, Wait: 200 * time.Millisecond})
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
func sendTrain(b *testing.B, c *cluster, t injector.Train) injector.Arrivals {
	nonce, from, to := 1<<33+trains.Add(1), c.byName[s1].addr, c.byName[s2].addr
	_, err := c.group.Ask(b.Context(), s1, injector.Request{Probe: &injector.Probe{
		Nonce: nonce, TimeoutMS: 1, Trains: map[netip.Addr]injector.Train{to: t}}})
	require.NoError(b, err)
	heard, err := c.group.Ask(b.Context(), s2, injector.Request{Heard: &injector.Heard{Nonce: nonce}})
	require.NoError(b, err)
	return heard.Trains[from]
}

// BenchmarkProcess is the time of a Set that changes one node's process, and what the
// same costs as a call of the engine.
func BenchmarkProcess(b *testing.B) {
	c := up(b, "bench-process", "dc1-3")
	for _, state := range []nodes.Process{nodes.Paused, nodes.Killed} {
		b.Run(fmt.Sprint(state), func(b *testing.B) {
			want := nodes.Conditions{Processes: map[string]nodes.Process{s1: state}}
			var broken, healed []time.Duration
			for b.Loop() {
				began := time.Now()
				require.NoError(b, c.Set(b.Context(), want))
				broken = append(broken, time.Since(began))
				began = time.Now()
				require.NoError(b, c.Set(b.Context(), nodes.Conditions{}))
				healed = append(healed, time.Since(began))
			}
			slices.Sort(broken)
			slices.Sort(healed)
			b.ReportMetric(float64(broken[len(broken)/2].Microseconds())/1000, "ms-p50/break")
			b.ReportMetric(float64(healed[len(healed)/2].Microseconds())/1000, "ms-p50/heal")
		})
	}
}

func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "ms-p99")
}

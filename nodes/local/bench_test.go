//go:build linux

package local

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

// BenchmarkPodsUp5 is the time of a Start of 5 nodes with the binaries at hand.
func BenchmarkPodsUp5(b *testing.B) {
	s := spec(b, "bench-up", "dc1-5")
	needNamespaces(b) // which builds the injector
	_, err := s.System.Binary(b.Context())
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

// BenchmarkProcess is the time of a Set that changes one node's process.
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

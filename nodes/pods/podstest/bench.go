package podstest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// benchmarks are the times that runtimes are compared by.
var benchmarks = []struct {
	name  string
	bench func(*testing.B, Subject)
}{
	{"PodsUp5", benchmarkPodsUp5},
	{"Repartition5", benchmarkRepartition5},
	{"Measure5", benchmarkMeasure5},
	{"WAN9", benchmarkWAN9},
	{"Process", benchmarkProcess},
	{"Requests", benchmarkRequests},
}

// Benchmark measures a runtime.
func Benchmark(b *testing.B, s Subject) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) { c.bench(b, s) })
	}
}

var five = []string{S1, S2, S3, "dc1-s4", "dc1-s5"}

// benchmarkPodsUp5 is the time of a Start of 5 nodes with all that is built at hand.
func benchmarkPodsUp5(b *testing.B, s Subject) {
	Need(b, s)
	spec := spec(b, "bench-up", "dc1-5")
	start := func() nodes.Cluster {
		c, err := s.Runtime.Start(b.Context(), spec)
		require.NoError(b, err)
		return c
	}
	require.NoError(b, start().Close(context.Background()))
	for b.Loop() {
		c := start()
		b.StopTimer()
		began := time.Now()
		require.NoError(b, c.Close(context.Background()))
		b.ReportMetric(milliseconds(time.Since(began)), "ms/close")
		b.StartTimer()
	}
}

// benchmarkRepartition5 is the time of a Set that changes links of all of 5 nodes.
func benchmarkRepartition5(b *testing.B, s Subject) {
	c := up(b, s, "bench-set", "dc1-5")
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		rotated := slices.Concat(five[i%5:], five[:i%5])
		var want faults.Conditions
		want.Cut(rotated[:2], rotated[2:], faults.Link{Drop: true})
		want.Cut(rotated[2:], rotated[:2], faults.Link{Drop: true})
		times = append(times, timeToSet(b, c, want))
	}
	slices.Sort(times)
	b.ReportMetric(milliseconds(times[len(times)/2]), "ms-p50")
	b.ReportMetric(milliseconds(times[len(times)*99/100]), "ms-p99")
}

// benchmarkMeasure5 is the time to probe 20 links, all healthy, or cut in two.
func benchmarkMeasure5(b *testing.B, s Subject) {
	c := up(b, s, "bench-measure", "dc1-5")
	var cut faults.Conditions
	cut.Cut(five[:2], five[2:], faults.Link{Drop: true})
	for name, conditions := range map[string]faults.Conditions{"healthy": {}, "cut": cut} {
		b.Run(name, func(b *testing.B) {
			require.NoError(b, c.Set(b.Context(), conditions))
			for b.Loop() {
				_, err := c.Measure(b.Context())
				require.NoError(b, err)
			}
		})
	}
}

// benchmarkWAN9 is the time from a change of the 18 links between two of three datacenters, or of all 54, with three servers in
// each and a profile on each of the links between them, until a measurement shows it: faults that begin, and their heals.
func benchmarkWAN9(b *testing.B, s Subject) {
	topology, err := topologies.Load("dc3-3x3x3")
	require.NoError(b, err)
	c := up(b, s, "bench-wan", topology.Name)
	names := map[string][]string{}
	var all []string
	for _, n := range topology.Nodes() {
		names[n.DC], all = append(names[n.DC], n.Name), append(all, n.Name)
	}
	some, everywhere := [][2]string{{"dc1", "dc2"}}, [][2]string{{"dc1", "dc2"}, {"dc1", "dc3"}, {"dc2", "dc3"}}
	for _, fault := range []struct {
		name    string
		between [][2]string
		state   faults.Link
	}{
		{"a loss of 1 %", some, faults.Link{Loss: 0.01}},
		{"a loss of 20 %", some, faults.Link{Loss: 0.2}},
		{"cut", some, faults.Link{Drop: true}},
		{"late", some, faults.Link{Delay: 100 * time.Millisecond, Jitter: 50 * time.Millisecond}},
		{"a closed port", some, faults.Link{Ports: "8302"}},
		{"a loss of 1 % everywhere", everywhere, faults.Link{Loss: 0.01}},
		{"bursts everywhere", everywhere, faults.Link{BurstLoss: 0.1, Burst: 5}},
	} {
		b.Run(fault.name, func(b *testing.B) {
			var broken, healed []time.Duration
			probes, before := 0, topology.Baseline()
			for b.Loop() {
				want := topology.Baseline()
				for _, pair := range fault.between {
					want.Cut(names[pair[0]], names[pair[1]], fault.state)
					want.Cut(names[pair[1]], names[pair[0]], fault.state)
				}
				for _, change := range []struct {
					want  faults.Conditions
					times *[]time.Duration
				}{{want, &broken}, {topology.Baseline(), &healed}} {
					began, was := time.Now(), before
					require.NoError(b, c.Set(b.Context(), change.want))
					before = change.want
					for wrong := []string{""}; len(wrong) > 0; probes++ {
						m, err := c.Measure(b.Context())
						require.NoError(b, err)
						if wrong = faults.Compare(&was, change.want, m, all); len(wrong) > 0 {
							b.Log(faults.Summary(wrong))
						}
					}
					*change.times = append(*change.times, time.Since(began))
				}
			}
			slices.Sort(broken)
			slices.Sort(healed)
			b.ReportMetric(milliseconds(broken[len(broken)/2]), "ms-p50/break")
			b.ReportMetric(milliseconds(healed[len(healed)/2]), "ms-p50/heal")
			b.ReportMetric(float64(probes)/float64(2*b.N), "probes/change")
		})
	}
}

// benchmarkProcess is the time of a Set that changes one node's process.
func benchmarkProcess(b *testing.B, s Subject) {
	c := Up(b, s, "bench-process")
	for _, state := range []faults.ProcessState{faults.Paused, faults.Killed} {
		b.Run(string(state), func(b *testing.B) {
			var broken, healed []time.Duration
			for b.Loop() {
				broken = append(broken, timeToSet(b, c, processOf(S1, state)))
				healed = append(healed, timeToSet(b, c, faults.Conditions{}))
			}
			slices.Sort(broken)
			slices.Sort(healed)
			b.ReportMetric(milliseconds(broken[len(broken)/2]), "ms-p50/break")
			b.ReportMetric(milliseconds(healed[len(healed)/2]), "ms-p50/heal")
		})
	}
}

const (
	requestsPerRound = 2000
	requestWorkers   = 8
)

// benchmarkRequests is how many small requests a node answers to 8 clients, over connections
// that they keep, and over a new one for each.
func benchmarkRequests(b *testing.B, s Subject) {
	c := Up(b, s, "bench-requests")
	Ask(b, c, S1)
	for name, short := range map[string]bool{"kept": false, "new": true} {
		b.Run(name, func(b *testing.B) {
			sent, began := 0, time.Now()
			for b.Loop() {
				require.NoError(b, pingMany(c, short))
				sent += requestsPerRound
			}
			b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "requests/s")
		})
	}
}

func pingMany(c nodes.Cluster, short bool) error {
	errs := make([]error, requestWorkers)
	var work sync.WaitGroup
	for i := range errs {
		work.Go(func() {
			client := &http.Client{Transport: transport(c, S1, short)}
			defer client.CloseIdleConnections()
			for range requestsPerRound / requestWorkers {
				answer, err := client.Get("http://" + S1 + "/ping")
				if err == nil {
					err = answer.Body.Close()
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

func timeToSet(b *testing.B, c nodes.Cluster, want faults.Conditions) time.Duration {
	began := time.Now()
	require.NoError(b, c.Set(b.Context(), want))
	return time.Since(began)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

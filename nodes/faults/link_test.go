package faults

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// drawState makes a state of a few kinds at once.
func drawState(rng *rand.Rand) Link {
	share := func() float64 { return []float64{0, 0, 0.01, 0.2, 0.5, 0.95}[rng.IntN(6)] }
	wait := func() time.Duration { return time.Duration(rng.IntN(4)) * 10 * ms }
	return Link{
		Drop: rng.IntN(8) == 0, Reject: rng.IntN(8) == 0, Ports: []Ports{"", "8300", "8301,8302"}[rng.IntN(3)], Loss: share(), BurstLoss: share(), Burst: float64(rng.IntN(9)),
		Rate: rng.Int64N(3) * 50_000, Queue: rng.Int64N(3) * 10_000, Delay: wait(), Jitter: wait(), Scramble: rng.IntN(2) == 0,
		Reorder: share(), Duplicate: share(), Corrupt: share(), Seed: rng.Uint64(),
	}
}

// same compares states up to the last bits of their shares.
func same(t *testing.T, a, b Link) {
	t.Helper()
	for _, p := range []struct{ a, b *float64 }{{&a.Loss, &b.Loss}, {&a.BurstLoss, &b.BurstLoss}, {&a.Reorder, &b.Reorder},
		{&a.Duplicate, &b.Duplicate}, {&a.Corrupt, &b.Corrupt}} {
		require.InDelta(t, *p.a, *p.b, 1e-12)
		*p.a, *p.b = 0, 0
	}
	require.Equal(t, a, b)
}

func TestMergeDoesNotMindTheOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b, c := drawState(rng), drawState(rng), drawState(rng)
		require.Equal(t, a, a.Merge(Link{}))
		require.Equal(t, a, Link{}.Merge(a))
		require.Equal(t, a.Merge(b), b.Merge(a))
		same(t, a.Merge(b.Merge(c)), a.Merge(b).Merge(c))
		require.Equal(t, a.Merge(b.Merge(c)).String(), a.Merge(b).Merge(c).String())
	}
}

func TestMergeIsOneAfterTheOther(t *testing.T) {
	a := Link{Loss: 0.5, Rate: 100, Delay: 10 * ms, BurstLoss: 0.1, Burst: 3}
	b := Link{Loss: 0.5, Rate: 50, Queue: 7, Delay: 20 * ms, Jitter: 5 * ms, Reject: true}
	require.Equal(t, Link{Reject: true, Loss: 0.75, BurstLoss: 0.1, Burst: 3, Rate: 50, Queue: 7, Delay: 30 * ms, Jitter: 5 * ms},
		a.Merge(b))
	var c Conditions
	c.Cut([]string{"a"}, []string{"b"}, a)
	c.Cut([]string{"a"}, []string{"b"}, b)
	require.Equal(t, a.Merge(b), c.Links[Pair{"a", "b"}])
}

func TestStatesAreTold(t *testing.T) {
	for want, s := range map[string]Link{
		"healthy":                {Scramble: true, Seed: 3},
		"dropped":                {Drop: true, Loss: 0.2},
		"rejected, delay 40ms":   {Reject: true, Delay: 40 * ms},
		"ports 8301 8302 closed": {Ports: "8301,8302"},
		"loss 0.2, duplicate 1":  {Loss: 0.2, Duplicate: 1},
		"burst-loss 0.1 in bursts of 5, rate 10000 B/s with a queue of 65536 B": {BurstLoss: 0.1, Burst: 5, Rate: 10_000},
		"jitter 10ms, scrambled, reorder 0.1, corrupt 0.3":                      {Jitter: 10 * ms, Scramble: true, Reorder: 0.1, Corrupt: 0.3},
	} {
		require.Equal(t, want, s.String())
		c := Conditions{Links: map[Pair]Link{{"a", "b"}: s}}
		require.Equal(t, want == "healthy", c.Healthy())
	}
}

func TestNeeds(t *testing.T) {
	c := Conditions{Links: map[Pair]Link{
		{"a", "b"}: {Drop: true, Loss: 0.1, Reject: true},
		{"b", "a"}: {Jitter: ms, Corrupt: 0.1},
		{"b", "c"}: {BurstLoss: 0.1, Rate: 1},
	}}
	require.Equal(t, []Capability{LinkCorrupt, LinkDelay, LinkDrop, LinkLoss, LinkRate}, c.Needs())
}

// provable are states of every kind that pass their Check.
var provable = []Link{
	{Loss: 0.01}, {Loss: 0.2}, {Loss: 0.95}, {BurstLoss: 0.1, Burst: 5}, {BurstLoss: 0.3, Burst: 20}, {Delay: 4 * ms}, {Delay: 40 * ms},
	{Jitter: 20 * ms}, {Delay: 40 * ms, Jitter: 40 * ms, Scramble: true}, {Reorder: 0.05}, {Duplicate: 0.05}, {Corrupt: 0.05},
	{Rate: 8_000}, {Rate: 100_000, Queue: 2_000}, {Rate: 10_000_000},
}

func TestAHealthyLinkIsNeverTakenForABadOne(t *testing.T) {
	for _, s := range provable {
		require.NoError(t, s.Check(), s)
		sent := s.Train().Count
		healthy := TrainMeasurement{Sent: sent, Arrived: sent, Median: 100 * time.Microsecond, P90: 200 * time.Microsecond, Rate: 40e6}
		require.NotEmpty(t, healthy.mismatches(s), "%s: nothing happened to any datagram, and it went unnoticed", s)
		require.Less(t, s.Train().Wait+time.Duration(sent)*s.Train().Pace, 2*time.Second)
	}
}

// TestLossAsAskedIsNoFalseAlarm draws trains from the models themselves.
func TestLossAsAskedIsNoFalseAlarm(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, s := range provable {
		toBad, toGood := s.gilbert()
		for range 300 {
			sent := s.Train().Count
			seen := TrainMeasurement{Sent: sent, Least: s.Delay, Median: s.Delay + s.Jitter/2, P90: s.Delay + s.Jitter*9/10, Rate: float64(s.Rate)}
			bad := rng.Float64() < s.BurstLoss
			for range sent {
				lost := bad || rng.Float64() < s.Loss
				bad = bad && rng.Float64() >= toGood || !bad && rng.Float64() < toBad
				if lost {
					continue
				}
				seen.Arrived++
				seen.Doubled += one(rng, s.Duplicate)
				seen.Damaged += one(rng, s.Corrupt)
				seen.Overtaken += one(rng, s.Reorder)
			}
			if s.Scramble {
				seen.Overtaken = seen.Arrived / 2
			}
			require.Empty(t, seen.mismatches(s), s)
		}
	}
}

func one(rng *rand.Rand, p float64) int {
	if rng.Float64() < p {
		return 1
	}
	return 0
}

func TestBinomialBounds(t *testing.T) {
	least, most := binomialBounds(100, 0)
	require.Equal(t, []int{0, 0}, []int{least, most})
	least, most = binomialBounds(100, 1)
	require.Equal(t, []int{100, 100}, []int{least, most})
	least, most = binomialBounds(10_000, 0.5) // 4.75 standard deviations of 50
	require.InDelta(t, 5000-4.75*50, least, 2)
	require.InDelta(t, 5000+4.75*50, most, 2)
	least, most = binomialBounds(3, 0.001)
	require.Equal(t, 0, least)
	require.Equal(t, 2, most, "three of three is a false alarm of 1e-9, two of 3e-6")
}

func TestBurstsLastAsAsked(t *testing.T) {
	toBad, toGood := Link{BurstLoss: 0.2, Burst: 5}.gilbert()
	require.InDelta(t, 0.2, toGood, 1e-12)
	require.InDelta(t, 0.2, toBad/(toBad+toGood), 1e-12)
	toBad, toGood = Link{BurstLoss: 0.95, Burst: 1}.gilbert()
	require.InDelta(t, 0.95, toBad/(toBad+toGood), 1e-12)
	require.LessOrEqual(t, toBad, math.Nextafter(1, 2))
}

func TestLinksThatAreShapedAreJudgedByTheirTrains(t *testing.T) {
	want := Conditions{Links: map[Pair]Link{{"a", "b"}: {Loss: 0.5}}}
	m := Measurement{Links: map[Pair]LinkMeasurement{
		{"a", "b"}: {UDP: true, TCP: TCPTimeout, Train: TrainMeasurement{Sent: 100, Arrived: 52}},
		{"b", "a"}: {UDP: true, TCP: TCPTimeout},
	}}
	require.Empty(t, m.Mismatches(want, []string{"a", "b"}), "an answer of b may be lost as well")
	m.Links[Pair{"a", "b"}] = LinkMeasurement{UDP: true, TCP: TCPOpen, Train: TrainMeasurement{Sent: 100, Arrived: 100}}
	m.Links[Pair{"b", "a"}] = LinkMeasurement{UDP: false, TCP: TCPRefused}
	require.Equal(t, []string{
		"a>b: 0 of 100 datagrams were lost, not 27 to 73",
		"b>a: a connection was refused, not open",
		"b>a: a datagram was lost",
	}, m.Mismatches(want, []string{"a", "b"}))
	m.Links[Pair{"a", "b"}] = LinkMeasurement{UDP: true, TCP: TCPOpen}
	require.Contains(t, m.Mismatches(want, []string{"a", "b"}), "a>b: no train of datagrams was sent")
	require.NotEmpty(t, m.Mismatches(Conditions{}, []string{"a", "b"}))
}

package injector

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

const ms = time.Millisecond

// pass sends packets of 1000 bytes, one a millisecond.
func pass(s faults.Link, packets int) []fate {
	h := newShaper(s)
	fates := make([]fate, packets)
	for i := range fates {
		fates[i] = h.fate(time.Duration(i)*ms, 1000)
	}
	return fates
}

func countFates(fates []fate, is func(fate) bool) (n int) {
	for _, f := range fates {
		if is(f) {
			n++
		}
	}
	return n
}

func TestTheSameSeedIsTheSameFate(t *testing.T) {
	s := faults.Link{Loss: 0.2, BurstLoss: 0.1, Burst: 4, Delay: ms, Jitter: 9 * ms, Scramble: true, Reorder: 0.1,
		Duplicate: 0.1, Corrupt: 0.1, Seed: 7}
	first := pass(s, 1000)
	require.Equal(t, first, pass(s, 1000))
	s.Seed = 8
	require.NotEqual(t, first, pass(s, 1000))
}

// TestKindsDoNotDisturbEachOther: whether a packet is lost does not depend on what else
// happens to packets.
func TestKindsDoNotDisturbEachOther(t *testing.T) {
	alone := pass(faults.Link{Loss: 0.3, Seed: 5}, 1000)
	among := pass(faults.Link{Loss: 0.3, Delay: ms, Jitter: ms, Duplicate: 0.5, Corrupt: 0.5, Reorder: 0.5, Seed: 5}, 1000)
	for i := range alone {
		require.Equal(t, alone[i].lost, among[i].lost)
	}
}

func TestSharesAreAsAsked(t *testing.T) {
	const packets = 100_000
	fates := pass(faults.Link{Loss: 0.05, Duplicate: 0.1, Corrupt: 0.2, Reorder: 0.3, Seed: 1}, packets)
	lost := countFates(fates, func(f fate) bool { return f.lost })
	require.InDelta(t, 0.05*packets, lost, 500)
	passed := float64(packets - lost)
	require.InDelta(t, 0.1*passed, countFates(fates, func(f fate) bool { return f.doubled }), 800)
	require.InDelta(t, 0.2*passed, countFates(fates, func(f fate) bool { return f.flip != 0 }), 800)
	late := 0
	for i, f := range fates {
		late += map[bool]int{true: 1}[!f.lost && f.at == time.Duration(i)*ms+10*ms]
	}
	require.InDelta(t, 0.3*passed, late, 800)
}

func TestBurstsAreAsAsked(t *testing.T) {
	for _, s := range []faults.Link{{BurstLoss: 0.2, Burst: 5}, {BurstLoss: 0.02, Burst: 10}, {BurstLoss: 0.9, Burst: 1}} {
		fates := pass(s, 400_000)
		lost, bursts := 0, 0
		for i, f := range fates {
			if f.lost {
				lost++
				if i == 0 || !fates[i-1].lost {
					bursts++
				}
			}
		}
		require.InEpsilon(t, s.BurstLoss, float64(lost)/float64(len(fates)), 0.1)
		burst := max(s.Burst, s.BurstLoss/(1-s.BurstLoss))
		require.InEpsilon(t, burst, float64(lost)/float64(bursts), 0.1)
	}
	require.Equal(t, 100, countFates(pass(faults.Link{BurstLoss: 1}, 100), func(f fate) bool { return f.lost }))
}

func TestJitterKeepsOrderUnlessScrambled(t *testing.T) {
	for _, scramble := range []bool{false, true} {
		overtaken := 0
		fates := pass(faults.Link{Delay: 5 * ms, Jitter: 20 * ms, Scramble: scramble, Seed: 3}, 10_000)
		for i, f := range fates {
			arrived := time.Duration(i) * ms
			require.GreaterOrEqual(t, f.at, arrived+5*ms)
			require.Less(t, f.at, arrived+25*ms)
			if i > 0 && f.at < fates[i-1].at {
				overtaken++
			}
		}
		require.Equal(t, scramble, overtaken > 1000)
		require.Equal(t, !scramble, overtaken == 0)
	}
}

func TestRateAndItsQueue(t *testing.T) {
	h := newShaper(faults.Link{Rate: 10_000, Queue: 3000})
	for i, want := range []fate{{at: 100 * ms}, {at: 200 * ms}, {at: 300 * ms}, {lost: true}, {lost: true}} {
		require.Equal(t, want, h.fate(0, 1000), i)
	}
	require.Equal(t, fate{at: 400 * ms}, h.fate(100*ms, 1000), "one has left the queue")
	require.Equal(t, fate{at: 2 * time.Second}, h.fate(time.Second, 10_000), "an idle line takes what is larger than the queue")
}

func TestHeldPacketsLeaveInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var h held
	for order := range uint64(2000) {
		h.push(heldPacket{at: time.Duration(rng.IntN(50)), order: order})
		if rng.IntN(3) == 0 {
			h.pop()
		}
	}
	last := h.pop()
	for len(h) > 0 {
		next := h.pop()
		require.True(t, last.before(next))
		last = next
	}
}

func BenchmarkFate(b *testing.B) {
	h := newShaper(faults.Link{Loss: 0.1, BurstLoss: 0.1, Burst: 5, Delay: ms, Jitter: ms, Duplicate: 0.1, Corrupt: 0.1, Reorder: 0.1})
	for b.Loop() {
		h.fate(0, 1000)
	}
}

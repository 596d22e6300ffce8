package clock

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

const seed = 7 // of whatever is drawn in these tests

// randomBank is one that no setting would make, but whose sums fit.
func randomBank(r *rand.Rand) (b paramBank) {
	any := func(below int64) int64 { return r.Int64N(2*below) - below }
	for _, f := range []*family{&b.wall, &b.mono} {
		*f = family{before: any(1 << 50), rate: any(1 << 50), strobe: any(1 << 60), period: r.Int64N(1 << 40)}
		if r.IntN(3) == 0 {
			f.period = 0
		}
	}
	for i := range b.rows {
		b.rows[i] = row{anchor: any(3e18), offset: any(1 << 60)}
	}
	return b
}

func TestBankEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		b := randomBank(r)
		require.Len(t, b.encode(), bankSize)
		require.Equal(t, b, decode(b.encode()))
	}
}

func TestGainIsTheFloorOfTheProduct(t *testing.T) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range 10_000 {
		elapsed, rate := int64(r.Uint64())>>r.IntN(50), int64(r.Uint64())>>(10+r.IntN(50))
		exact := new(big.Int).Mul(big.NewInt(elapsed), big.NewInt(rate))
		exact.Rsh(exact, fraction) // of big.Int this is the floor
		if exact.IsInt64() {
			require.Equal(t, exact.Int64(), gain(elapsed, rate), "%d × %d", elapsed, rate)
		}
	}
}

// A day at 10 % is 8,640 s, at any drift within a few ns.
func TestDriftOverADay(t *testing.T) {
	const day = int64(24 * time.Hour)
	for drift, want := range map[float64]time.Duration{
		0.1:    8640 * time.Second,
		-0.1:   -8640 * time.Second,
		1e-6:   86400 * time.Microsecond,
		-0.999: time.Duration(day/1000 - day),
		100:    100 * 24 * time.Hour,
	} {
		require.InDelta(t, int64(want), gain(day, fixed(drift)), 2, "%v", drift)
	}
}

// A chain of settings, whatever they are, never lets a monotonic clock step back, not even a
// COARSE one that is read as of shortly before, and each rise of Forward is carried out once.
func TestMonotonicNeverStepsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(seed, 2))
	const lag = int64(settles) * 9 / 10
	for range 200 {
		var b paramBank
		now := instant{1_700_000_000e9, 1_700_000_037e9, 5e12, 4e12, 6e12}
		var last [clocks]int64
		for range 50 {
			s := Setting{Clock: faults.Clock{Monotonic: []float64{0, 0, 0.1, -0.5, 3, -0.999}[r.IntN(6)], Forward: time.Duration(r.IntN(1000))}}
			n := b.next(s, now)
			require.Equal(t, n, n.next(s, now), "the same setting again")
			require.Equal(t, max(0, int64(s.Forward)-b.mono.strobe), leapt(b, n, now[monotonic]))
			if n.mono.rate != b.mono.rate { // late, where Set does it without stopping the process
				late := r.Int64N(1e6) * int64(min(1, max(0, n.mono.rate-b.mono.rate)))
				for c := range now {
					now[c] += late
				}
			}
			for c := monotonic; c < clocks; c++ {
				for _, at := range []int64{now[c] - lag, now[c] - 1, now[c]} {
					require.GreaterOrEqual(t, at+n.ahead(c, at), at+b.ahead(c, at), "from\n%+v to\n%+v, clock %d", b, n, c)
				}
				shown := now[c] + n.ahead(c, now[c])
				require.GreaterOrEqual(t, shown, last[c])
				last[c] = shown
			}
			step := r.Int64N(1e10)
			if b = n; b.unsettled(b.next(Setting{Clock: faults.Clock{Monotonic: 7}}, now), now) > 0 {
				step += int64(settles)
			}
			for c := range now {
				now[c] += step
			}
			require.Zero(t, b.unsettled(b.next(Setting{Clock: faults.Clock{Monotonic: 7}}, now), now))
		}
	}
}

// leapt is by how much the monotonic clock of a bank is ahead of that of the one before, beside
// what their rates make of it.
func leapt(b, n paramBank, now int64) int64 {
	leap := n.ahead(monotonic, now) - b.ahead(monotonic, now)
	if n.mono.rate != b.mono.rate && b.mono.rate != 0 {
		leap-- // see next
	}
	return leap
}

func TestWallClockOfASetting(t *testing.T) {
	now := instant{1_700_000_000e9, 1_700_000_037e9, 5e12, 4e12, 6e12}
	since := time.Duration(now[monotonic]) - 10*time.Second
	s := Setting{Clock: faults.Clock{Offset: time.Hour, Drift: 0.5, Strobe: time.Minute, Period: 4 * time.Second}, Since: since}
	var b paramBank
	b = b.next(s, now)
	for _, c := range []int{realtime, tai} {
		for after, want := range map[time.Duration]time.Duration{
			-20 * time.Second:  time.Hour,                                   // before since: no drift yet, no strobe
			-10 * time.Second:  time.Hour + time.Minute,                     // since
			-6*time.Second - 1: time.Hour + 2*time.Second + time.Minute - 1, // end of the first period
			-6 * time.Second:   time.Hour + 2*time.Second,                   // the second: not shown
			0:                  time.Hour + 5*time.Second + time.Minute,     // the third
			4 * time.Second:    time.Hour + 7*time.Second,                   // the fourth
		} {
			require.Equal(t, want, time.Duration(b.ahead(c, now[c]+int64(after))), "%v", after)
		}
	}
	for c := monotonic; c < clocks; c++ {
		require.Zero(t, b.ahead(c, now[c]))
	}
	require.False(t, b.gained())
	require.True(t, b.next(Setting{Clock: faults.Clock{Forward: 1}}, now).gained())
}

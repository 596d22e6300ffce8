package gossip

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Never is the time of what may not happen at all.
const Never = time.Duration(math.MaxInt64)

// Quantiles are times by which something has happened in that share of cases.
type Quantiles struct {
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
}

// Shares are what the fields of Quantiles stand for.
var Shares = []float64{.5, .9, .99, .999}

// List has the fields in the order of Shares.
func (q Quantiles) List() []time.Duration { return []time.Duration{q.P50, q.P90, q.P99, q.P999} }

// Measured are the quantiles of a sample, which need not be sorted. Without one they are Never.
func Measured(sample []time.Duration) Quantiles {
	sorted := slices.Sorted(slices.Values(sample))
	return quantiles(func(share float64) time.Duration {
		if len(sorted) == 0 {
			return Never
		}
		return sorted[min(len(sorted)-1, int(math.Ceil(share*float64(len(sorted))))-1)]
	})
}

func quantiles(at func(share float64) time.Duration) Quantiles {
	return Quantiles{at(.5), at(.9), at(.99), at(.999)}
}

// distribution is a random time: its quantile function in seconds, at (i+½)/len(distribution). Infinite: never.
type distribution []float64

const (
	steps   = 1 << 12 // of a distribution
	samples = 1 << 14 // of what is drawn to make one
)

// at is the quantile of a share, 0 to 1.
func (d distribution) at(share float64) float64 {
	x := share*float64(len(d)) - .5
	i := int(math.Floor(x))
	switch {
	case i < 0:
		return d[0]
	case i >= len(d)-1:
		return d[len(d)-1]
	case math.IsInf(d[i+1], 1):
		return d[i+1]
	}
	return d[i] + (x-float64(i))*(d[i+1]-d[i])
}

func (d distribution) quantiles() Quantiles {
	return quantiles(func(share float64) time.Duration { return duration(d.at(share)) })
}

// plus is the sum of two independent times.
func (d distribution) plus(other distribution) distribution {
	random := newRandom()
	i := 0
	return drawn(func() float64 {
		i++ // d by itself is not drawn but gone through
		return d.at((float64(i-1)+.5)/samples) + other.at(random.Float64())
	})
}

// drawn is what a function draws.
func drawn(draw func() float64) distribution {
	all := make([]float64, samples)
	for i := range all {
		all[i] = draw()
	}
	slices.Sort(all)
	d := make(distribution, steps)
	for i := range d {
		d[i] = all[(2*i+1)*samples/(2*steps)]
	}
	return d
}

// inverted is the distribution of a function that grows from 0 to 1 with the seconds, by a table of it in steps of 1 %.
// What it does not reach before the limit never happens.
func inverted(cdf func(seconds float64) float64, limit float64) distribution {
	const ratio = 1.01
	var from, to float64
	below, above := cdf(0), cdf(0)
	d := make(distribution, steps)
	for i := range d {
		share := (float64(i) + .5) / steps
		for above < share && to < limit {
			from, below = to, above
			to = max(1e-4, to*ratio)
			above = cdf(to)
		}
		switch {
		case above < share:
			d[i] = math.Inf(1)
		case above == below:
			d[i] = to
		default:
			d[i] = max(from, from+(to-from)*(share-below)/(above-below))
		}
	}
	return d
}

// newRandom draws the same numbers every time: a bound has no luck.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(0x5eed, 0xb0)) }

func duration(seconds float64) time.Duration {
	if seconds >= Never.Seconds() {
		return Never
	}
	return time.Duration(seconds * float64(time.Second))
}

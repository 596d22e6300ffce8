package gossip

import (
	"math"
	"sync"
)

// spread is how one broadcast reaches all of a pool.
//
// Each member has its own phase and sends a new broadcast to k others at each tick of I, L copies in all. A copy arrives
// with 1−p, a delay d later. The members who know grow as e^(rt) with
//
//	1 = k(1−p)/(I·r) · e^(−rd)		(Malthus: the copies of a member's life, discounted)
//
// so r = k(1−p)/I = λ without delay. First-passage percolation on the complete graph takes (2 ln N + G₁ + G₂)/λ to reach
// all, G standard Gumbel variables (Janson, "One, two and three times log n/n for paths in a complete graph with random
// weights", 1999, theorem 1(ii)): (ln N + G₁)/r until about half know, and (ln N + G₂)/λ + d until the last does.
// That is given that gossip leaves nobody out; leftOut has the rest, and push/pull cures it.
type spread struct {
	logN    float64
	growth  float64 // r, per second
	hit     float64 // λ
	delay   float64 // seconds
	left    leftOut
	every   float64 // seconds between two push/pulls that a member starts; 0: never
	through float64 // probability that a push/pull is done
}

// pool of members who must learn, of targets that a member chooses from.
func (p Pool) spread(members, targets int) spread {
	t := p.Timing
	// Copies to members who are gone are as good as lost.
	loss := 1 - (1-p.Loss)*float64(members-1)/float64(max(1, targets))
	perTick := min(t.GossipNodes, targets)
	hit := float64(perTick) * (1 - loss) / t.GossipInterval.Seconds()
	s := spread{logN: math.Log(float64(members)), hit: hit, growth: hit, delay: p.Delay.Seconds(),
		every: t.PushPullEvery(p.Members).Seconds(), through: exchangeWithin(t.TCPTimeout, p.Loss, p.Delay),
		left: leftOutOf(members, perTick, t.RetransmitLimit(p.Members), loss)}
	for range 50 { // r = λ·e^(−rd) by Newton's method on r·e^(rd) − λ, from above
		e := math.Exp(s.growth * s.delay)
		s.growth -= (s.growth*e - hit) / (e * (1 + s.growth*s.delay))
	}
	return s
}

// gossipLate is the probability that gossip, if it leaves nobody out, takes longer.
func (s spread) gossipLate(seconds float64) float64 {
	// The slower of the two rates for both Gumbel variables errs on the side of later.
	x := (seconds - s.delay - s.logN/s.growth - s.logN/s.hit) * s.growth
	return twoGumbelsLate(x)
}

// late is the probability that somebody does not know by then, by gossip or by push/pull.
func (s spread) late(seconds float64) float64 {
	late := s.gossipLate(seconds)
	return late + (1-late)*s.left.anyOf(s.uncured(seconds))
}

// uncured is the probability that a member who was left out has been in no push/pull by then. It begins one each interval,
// and others begin one with it at the same rate.
func (s spread) uncured(seconds float64) float64 {
	if s.every == 0 {
		return 1
	}
	if seconds <= 0 {
		return 1
	}
	whole, part := math.Modf(seconds / s.every)
	own := math.Pow(1-s.through, whole) * (1 - s.through*part)
	return own * math.Exp(-s.through*seconds/s.every)
}

// limit is when even the last of those whom push/pull cures is cured.
func (s spread) limit() float64 { return 60 + 200*s.every + 100*(s.logN+1)/s.growth }

func (s spread) everywhere() distribution {
	return inverted(func(t float64) float64 { return 1 - s.late(t) }, s.limit())
}

func (s spread) byGossip() distribution {
	return inverted(func(t float64) float64 { return 1 - s.gossipLate(t) }, s.limit())
}

// one is when a given member knows: (ln N − ln E + Λ)/r, E exponential (how the first copies fared), Λ logistic (where
// on the curve the member is).
func (s spread) one() distribution {
	random := newRandom()
	return drawn(func() float64 {
		u := (random.Float64() + 1e-12) / (1 + 2e-12)
		x := s.logN - math.Log(random.ExpFloat64()+1e-12) + math.Log(u/(1-u))
		return max(0, x/s.growth) + s.delay
	})
}

// twoGumbelsLate is the probability that the sum of two standard Gumbel variables is above x: 1 − z·K₁(z), z = 2e^(−x/2).
func twoGumbelsLate(x float64) float64 {
	z := 2 * math.Exp(-x/2)
	if z < .05 { // the difference from 1, without losing its digits
		half := z * z / 4
		return -2 * half * (math.Log(z/2) + eulerGamma - .5) * (1 + half/2)
	}
	at := (x - lateFrom) * latePerUnit
	if at <= 0 {
		return 1
	}
	table := lateTable()
	i := int(at)
	return table[i] + (at-float64(i))*(table[i+1]-table[i])
}

const (
	lateFrom    = -8.
	lateTo      = 8.
	latePerUnit = 64.
)

// lateTable has 1 − z·K₁(z) where that is no series: ∫ z·cosh(u)·e^(−z·cosh u) by the trapezoid rule, which converges exponentially here.
var lateTable = sync.OnceValue(func() []float64 {
	const step = 1. / 16
	var table []float64
	for i := 0.; i <= (lateTo-lateFrom)*latePerUnit; i++ {
		z := 2 * math.Exp(-(lateFrom+i/latePerUnit)/2)
		sum := .5 * z * math.Exp(-z)
		for u := step; z*math.Cosh(u) < 45; u += step {
			c := math.Cosh(u)
			sum += z * c * math.Exp(-z*c)
		}
		table = append(table, max(0, 1-sum*step))
	}
	return table
})

const eulerGamma = 0.57721566490153286

// leftOut is how many members gossip leaves out of one broadcast, because every member has sent its L copies.
type leftOut struct {
	mean  float64
	exact []float64 // of m members; nil: a Poisson distribution
}

// exactUpTo is where the Poisson distribution is as good.
const exactUpTo = 300

// leftOutOf goes through the members who know, in whatever order: each sends its copies, in ticks of perTick distinct
// members. What counts is only how many know when all who do have sent, so the state is how many know and how many of
// them have sent: a recursion of N² steps. From exactUpTo members on, the number is Poisson around N·e^(−L(1−p)).
func leftOutOf(n, perTick, copies int, loss float64) leftOut {
	if n <= 1 {
		return leftOut{exact: []float64{1}}
	}
	if n > exactUpTo {
		return leftOut{mean: float64(n) * math.Exp(-float64(copies)*(1-loss))}
	}
	full, rest := reached(n, perTick, loss), reached(n, copies%perTick, loss)
	know := make([]float64, n+1) // probability that so many know
	know[1] = 1
	l := leftOut{exact: make([]float64, n)}
	for sent := 1; sent <= n; sent++ {
		for range copies / perTick {
			know = afterTick(know, full)
		}
		know = afterTick(know, rest)
		l.exact[n-sent] = know[sent] // all who know have sent
		know[sent] = 0
	}
	last := 0
	for m, p := range l.exact {
		l.mean += float64(m) * p
		if p > 1e-15 {
			last = m
		}
	}
	l.exact = l.exact[:last+1]
	return l
}

// reached has, for each number of members who know, the probabilities of how many others a tick of so many copies tells.
func reached(n, copies int, loss float64) [][]float64 {
	all := make([][]float64, n+1)
	for know := 1; know <= n; know++ {
		drawn := make([]float64, copies+1) // of the targets, those who do not know
		drawn[0] = 1
		for c := range copies {
			for u := c; u >= 0; u-- {
				hit := min(1, max(0, float64(n-know-u)/float64(n-1-c)))
				drawn[u+1] += drawn[u] * hit
				drawn[u] *= 1 - hit
			}
		}
		told := make([]float64, copies+1)
		for u, p := range drawn {
			choose := 1.0
			for k := 0; k <= u; k++ {
				told[k] += p * choose * math.Pow(1-loss, float64(k)) * math.Pow(loss, float64(u-k))
				choose = choose * float64(u-k) / float64(k+1)
			}
		}
		all[know] = told
	}
	return all
}

func afterTick(know []float64, reached [][]float64) []float64 {
	next := make([]float64, len(know))
	for j, p := range know {
		if p < 1e-18 {
			continue
		}
		for k, told := range reached[j] {
			if told > 0 {
				next[j+k] += p * told
			}
		}
	}
	return next
}

// anyOf is the probability that somebody was left out and is not cured, if each is uncured with that probability.
func (l leftOut) anyOf(uncured float64) float64 {
	if l.exact == nil {
		return -math.Expm1(-l.mean * uncured)
	}
	sum := 0.0
	for m, p := range l.exact {
		if m > 0 {
			sum -= p * math.Expm1(float64(m)*math.Log1p(-min(uncured, 1-1e-15)))
		}
	}
	return min(1, sum)
}

// any is the probability that somebody is left out.
func (l leftOut) any() float64 { return l.anyOf(1) }

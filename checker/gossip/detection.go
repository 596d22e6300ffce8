package gossip

import (
	"math"
	"math/rand/v2"
	"sort"
)

// passes is when round-robin probing comes to a given member: the time from a random instant to the start of the next
// probe of it, by one prober with m others to probe, in probe intervals. Each pass is shuffled anew, so the member may be
// the next in this pass, or be over in it and come at any place of the next one:
//
//	P(R = r) = (m−r)/m² + Σ(u = m−r … m−1) u/m³	for r < m
//	P(R = r) = Σ(u = 0 … 2m−1−r) u/m³		for m ≤ r < 2m
//
// with R the probes before it and u the place in the pass; the prober's phase adds a uniform share of an interval.
type passes struct {
	m float64
}

// exactly is P(R = r).
func (a passes) exactly(r float64) float64 {
	m := a.m
	sum := func(from, to float64) float64 { return max(0, (from+to)*(to-from+1)/2) }
	switch {
	case r < 0 || r >= 2*m:
		return 0
	case r < m:
		return (m-r)/(m*m) + sum(m-r, m-1)/(m*m*m)
	default:
		return sum(0, 2*m-1-r) / (m * m * m)
	}
}

// hazard is −ln of the probability that one prober does not yet suspect a member that crashed at 0, as a table over
// time. The first of many probers is early in it, so it is fine where that counts.
type hazard struct {
	step float64 // seconds
	at   []float64
}

const hazardSteps = 32 // of a probe interval

// suspecting is the hazard of a pool's probers. A probe takes its interval times 1 + its prober's score.
func (p Pool) suspecting() hazard {
	observers := max(1, p.Members-1)
	around := passes{m: float64(observers)}
	scores := p.scores()
	// What is left after so many probes, until all observers together are sure to have suspected.
	var left []float64
	rest := 1.0
	for r := 0; rest > 0 && r < 2*observers+1; r++ {
		left = append(left, rest)
		rest = max(0, rest-around.exactly(float64(r)))
		if float64(observers)*-math.Log(rest+1e-300) > 80 && r > 8 {
			break
		}
	}
	left = append(left, rest)
	survival := func(x float64) float64 { // in intervals, that the probe has not begun
		if x <= 0 {
			return 1
		}
		whole, part := math.Modf(x)
		if int(whole)+1 >= len(left) {
			return left[len(left)-1]
		}
		return left[int(whole)] + part*(left[int(whole)+1]-left[int(whole)])
	}
	h := hazard{step: p.Timing.ProbeInterval.Seconds() / hazardSteps}
	for i := 0; i <= (len(left)+len(scores))*hazardSteps; i++ {
		s := 0.0
		for score, share := range scores {
			s += share * survival(float64(i)/hazardSteps-float64(score+1))
		}
		h.at = append(h.at, -math.Log(s+1e-300))
	}
	return h
}

// when the hazard comes to that.
func (h hazard) when(sum float64) float64 {
	i := sort.SearchFloat64s(h.at, sum)
	switch {
	case i == 0:
		return 0
	case i == len(h.at):
		return float64(len(h.at)-1) * h.step
	}
	return h.step * (float64(i) - (h.at[i]-sum)/(h.at[i]-h.at[i-1]))
}

// scores is how slow probers believe themselves to be, in the long run, because of probes that loss alone has failed: the stationary
// distribution of a chain that falls by one with each probe that succeeds, and grows with each that fails by the nacks that were
// missing. A helper's nack leaves it a ProbeTimeout after the request, so at a score of 0, on defaults, none is back in time.
func (p Pool) scores() []float64 {
	top := p.Timing.AwarenessMaxMultiplier
	now := make([]float64, top)
	now[0] = 1
	if p.Loss == 0 || top == 1 {
		return now
	}
	helpers := p.helpers()
	for range 400 {
		next := make([]float64, top)
		for score, share := range now {
			fails := p.probeFails(score)
			next[max(0, score-1)] += share * (1 - fails)
			for missing, chance := range p.missingNacks(score, helpers) {
				next[min(top-1, score+missing)] += share * fails * chance
			}
		}
		now = next
	}
	return now
}

// missingNacks has the probabilities of how many nacks a probe that failed lacks.
func (p Pool) missingNacks(score, helpers int) []float64 {
	if helpers == 0 {
		return []float64{0, 1} // a failed probe counts as one
	}
	chances := make([]float64, helpers+1)
	deadline := p.Timing.ProbeInterval.Seconds() * float64(score+1)
	back := 2*p.Timing.ProbeTimeout.Seconds() + 2*p.Delay.Seconds()
	if back >= deadline {
		chances[helpers] = 1
		return chances
	}
	missing := p.Loss * (2 - p.Loss)
	choose := 1.0
	for k := range chances {
		chances[k] = choose * math.Pow(missing, float64(k)) * math.Pow(1-missing, float64(helpers-k))
		choose = choose * float64(helpers-k) / float64(k+1)
	}
	return chances
}

func (p Pool) helpers() int { return min(p.Timing.IndirectChecks, max(0, p.Members-2)) }

// suspicionRun draws one crash: when it is first suspected, and when the first suspecter's timer ends. Its confirmations are the
// suspicions of the next probers, the order statistics of all, each of which arrives by gossip.
type suspicionRun struct {
	observers int
	hazard    hazard
	timeouts  []float64 // after c confirmations
	heard     distribution
	random    *rand.Rand
	drawn     int
}

func (p Pool) suspicionRun() *suspicionRun {
	r := &suspicionRun{observers: max(1, p.Members-1), hazard: p.suspecting(), random: newRandom(),
		heard: p.spread(max(2, p.Members-1), max(1, p.Members-1)).one()}
	for c := 0; c <= p.Timing.Confirmations(p.Members); c++ {
		r.timeouts = append(r.timeouts, p.Timing.SuspicionTimeout(p.Members, c).Seconds())
	}
	return r
}

func (r *suspicionRun) draw() (suspected, dead float64) {
	// The first is gone through rather than drawn: the tail has its share of every sample.
	u := (float64(r.drawn%samples) + .5) / samples
	r.drawn++
	sum := -math.Log(u) / float64(r.observers)
	suspected = r.hazard.when(sum)
	dead = suspected + r.timeouts[0]
	for c := 1; c < len(r.timeouts) && c < r.observers; c++ {
		sum += r.random.ExpFloat64() / float64(r.observers-c)
		arrives := r.hazard.when(sum) + r.heard.at(r.random.Float64())
		dead = min(dead, max(suspected+r.timeouts[c], arrives))
	}
	return suspected, dead
}

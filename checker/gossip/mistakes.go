package gossip

import (
	"math"
	"time"
)

// Mistakes is how often loss alone makes a pool wrong about a live member.
type Mistakes struct {
	// SuspectedPerProbe is the probability that one probe of a live member ends in a suspicion.
	SuspectedPerProbe float64 `json:"suspected_per_probe"`
	// SuspicionsPerSecond counts those of all members of the pool.
	SuspicionsPerSecond float64 `json:"suspicions_per_second"`
	// DeathsPerSecond counts suspicions that some member takes for a death, because the refutation does not come in time.
	DeathsPerSecond float64 `json:"deaths_per_second"`
}

// probeFails is the probability that a probe of a live member fails: the direct ping or its ack is lost, and so is one of the four packets
// by each helper, and an exchange over TCP is not done by the deadline. A round trip that is longer than what there is for it always fails.
func (p Pool) probeFails(score int) float64 {
	t := p.Timing
	deadline := t.ProbeInterval * time.Duration(score+1)
	rest := deadline - t.ProbeTimeout
	fails := 1.0
	if 2*p.Delay <= deadline {
		fails = p.Loss * (2 - p.Loss)
	}
	if 4*p.Delay <= rest && 2*p.Delay <= t.ProbeTimeout {
		fails *= math.Pow(1-math.Pow(1-p.Loss, 4), float64(p.helpers()))
	}
	if !t.DisableTCPPings {
		fails *= 1 - exchangeWithin(rest, p.Loss, p.Delay)
	}
	return fails
}

func (p Pool) mistakes() Mistakes {
	var m Mistakes
	length := 0.0 // of what lies between two probes of a member, in intervals
	for score, share := range p.scores() {
		fails := p.probeFails(score)
		m.SuspectedPerProbe += share * fails
		length += share * (1 - fails + fails*float64(score+1))
	}
	if p.Members < 2 {
		return Mistakes{}
	}
	m.SuspicionsPerSecond = float64(p.Members) * m.SuspectedPerProbe / (length * p.Timing.ProbeInterval.Seconds())
	if m.SuspicionsPerSecond > 0 {
		m.DeathsPerSecond = m.SuspicionsPerSecond * p.unrefuted(m.SuspectedPerProbe/(length*p.Timing.ProbeInterval.Seconds()))
	}
	return m
}

// unrefuted is the probability that a suspicion of a live member becomes a death somewhere: the accused hears of it, and all hear its
// answer, later than the suspicion's timeout. Other probes that fail confirm it meanwhile, at that rate.
func (p Pool) unrefuted(confirmations float64) float64 {
	const draws = 512
	random := newRandom()
	spread := p.spread(p.Members, p.Members-1)
	heard := spread.one()
	// An accused whom gossip leaves out hears of it by the next probe that says so, once an interval on average.
	outside := spread.left.mean / float64(p.Members)
	probes := (1 - p.Loss) / p.Timing.ProbeInterval.Seconds()
	sum := 0.0
	for i := range draws {
		end := p.Timing.SuspicionTimeout(p.Members, 0).Seconds()
		at := 0.0
		for c := 1; c <= p.Timing.Confirmations(p.Members); c++ {
			at += random.ExpFloat64() / confirmations
			end = min(end, max(at, p.Timing.SuspicionTimeout(p.Members, c).Seconds()))
		}
		told := heard.at((float64(i) + .5) / draws)
		sum += (1-outside)*spread.late(end-told) + outside*(math.Exp(-probes*end)+spread.late(end/2))
	}
	return min(1, sum/draws)
}

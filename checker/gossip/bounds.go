package gossip

import (
	"math"
	"sync"
	"time"
)

// Pool is what a bound is computed for. It can be compared, and bounds are computed once for each.
type Pool struct {
	Timing  Timing
	Members int
	Loss    float64       // share of the packets that are lost, in each direction of each link, independently
	Delay   time.Duration // one way
}

// Bound is by when something is so at every member.
type Bound struct {
	Quantiles // with all that makes it late

	// Gossip is the same given that gossip leaves nobody out, and LeftOut how many members it leaves out on average. These learn of it
	// by push/pull: "all but 0.03 members by 1.5 s; the last by 60 s".
	Gossip  Quantiles `json:"gossip"`
	LeftOut float64   `json:"left_out"`
	AnyLeft float64   `json:"any_left"` // the probability that there is one
}

// Bounds are all of a pool.
type Bounds struct {
	// Dissemination is of one broadcast: a change of tags, an event that push/pull carries too (Serf's do). Janson's theorem and push/pull.
	Dissemination Bound `json:"dissemination"`
	// UserMessage is of a broadcast that no push/pull carries. Whom gossip leaves out never learns of it.
	UserMessage Bound `json:"user_message"`
	// Joined counts from the beginning of the joiner's push/pull with a member: that exchange, then a broadcast.
	Joined Bound `json:"joined"`
	// Left counts from the leaver's broadcast. LeaveSent is how long the leaver needs to send all its copies: one that stops sooner sends fewer.
	Left      Bound         `json:"left"`
	LeaveSent time.Duration `json:"leave_sent"`

	// Suspected is when a crash is first suspected, by the first of all probers.
	Suspected Quantiles `json:"suspected"`
	// Dead is when the first member knows of it: the first suspecter's timer, with the suspicions of the next as confirmations.
	Dead Quantiles `json:"dead"`
	// DeadEverywhere adds the broadcast. Whom gossip leaves out has a timer of its own, unless it has not heard of the suspicion either:
	// push/pull tells of a death only as of a suspicion.
	DeadEverywhere Bound `json:"dead_everywhere"`
	// Refuted is from a suspicion of a live member to the end of it everywhere: the accused hears of it, and answers.
	Refuted Bound `json:"refuted"`

	Mistakes Mistakes `json:"mistakes"`
	Traffic  Traffic  `json:"traffic"`
}

var computed sync.Map // Pool → func() Bounds

// Bounds computes them, in some 50 ms of processor time at first. The timing must be valid, Members at least 2, the loss below 1.
func (p Pool) Bounds() Bounds {
	once, _ := computed.LoadOrStore(p, sync.OnceValue(p.compute))
	return once.(func() Bounds)()
}

func (p Pool) compute() Bounds {
	whole := p.spread(p.Members, p.Members-1)
	all := whole.bound()
	b := Bounds{Dissemination: all, UserMessage: all, Left: all, Traffic: p.traffic(), Mistakes: p.mistakes()}
	b.UserMessage.Quantiles = whole.orNever()
	b.Joined = all.with(whole.everywhere().plus(p.exchange()), whole.byGossip().plus(p.exchange()))
	ticks := math.Ceil(float64(p.Timing.RetransmitLimit(p.Members)) / float64(min(p.Timing.GossipNodes, p.Members-1)))
	b.LeaveSent = time.Duration(ticks) * p.Timing.GossipInterval
	heard := whole.one()
	b.Refuted = all.with(whole.everywhere().plus(heard), whole.byGossip().plus(heard))
	b.Suspected, b.Dead, b.DeadEverywhere = p.crash()
	return b
}

func (s spread) bound() Bound {
	return Bound{Quantiles: s.everywhere().quantiles(), Gossip: s.byGossip().quantiles(), LeftOut: s.left.mean, AnyLeft: s.left.any()}
}

func (s spread) orNever() Quantiles {
	s.every = 0
	return s.everywhere().quantiles()
}

func (b Bound) with(all, gossip distribution) Bound {
	b.Quantiles, b.Gossip = all.quantiles(), gossip.quantiles()
	return b
}

// exchange is how long a push/pull takes that is done within the timeout.
func (p Pool) exchange() distribution {
	random := newRandom()
	return drawn(func() float64 {
		for range 100 {
			if d := ExchangeTime(random.Float64, p.Loss, p.Delay); d <= p.Timing.TCPTimeout {
				return d.Seconds()
			}
		}
		return p.Timing.TCPTimeout.Seconds()
	})
}

// crash is of one member that crashed, as the others see it.
func (p Pool) crash() (suspected, dead Quantiles, everywhere Bound) {
	others := p.Members - 1
	if others < 2 { // the other one is everybody
		run := p.suspicionRun()
		s := drawn(func() float64 { s, _ := run.draw(); return s })
		run.drawn = 0
		d := drawn(func() float64 { _, d := run.draw(); return d }).quantiles()
		return s.quantiles(), d, Bound{Quantiles: d, Gossip: d}
	}
	spread := p.spread(others, others)
	gossip, one := spread.byGossip(), spread.one()
	missed := spread.left.mean / float64(others) // the probability that a given member is left out
	missesAll := spread.left.mean * math.Pow(missed, float64(1+p.Timing.Confirmations(p.Members)))
	confirmed := math.Pow(1-missed, float64(p.Timing.Confirmations(p.Members)))
	longest := p.Timing.SuspicionTimeout(p.Members, 0).Seconds()
	rescue := inverted(func(t float64) float64 { return 1 - spread.uncured(t) }, spread.limit())

	var first, deaths, gossiped []float64
	run, random := p.suspicionRun(), newRandom()
	at := drawn(func() float64 {
		s, d := run.draw()
		first, deaths = append(first, s), append(deaths, d)
		told := d + gossip.at(random.Float64())
		gossiped = append(gossiped, told)
		switch u := random.Float64(); {
		case u < missesAll:
			return max(told, d+rescue.at(random.Float64())+longest)
		case u < spread.left.any():
			late := one.at(random.Float64())
			if random.Float64() < confirmed { // its timer is as the first one's, only later
				return max(told, d+2*late)
			}
			return max(told, s+late+longest)
		}
		return told
	})
	everywhere = Bound{Quantiles: at.quantiles(), Gossip: ofSample(gossiped).quantiles(), LeftOut: spread.left.mean, AnyLeft: spread.left.any()}
	return ofSample(first).quantiles(), ofSample(deaths).quantiles(), everywhere
}

func ofSample(all []float64) distribution {
	i := 0
	return drawn(func() float64 { i++; return all[i-1] })
}

// Remerged is by when two sides of a pool, of so many members, know each other again after a heal that came when each held the other dead.
// Memberlist by itself owes none: without ReconnectInterval, ok is false.
//
// Two meetings are needed: in the first, each side learns that the other holds its members dead, and they refute; the second takes the
// refutations across, which gossip then spreads. Each member of a side of a tries one of b failed members, with probability min(1, b/a), each interval.
func (p Pool) Remerged(a, b int) (bound Bound, ok bool) {
	if p.Timing.ReconnectInterval == 0 || a < 1 || b < 1 {
		return Bound{}, false
	}
	every := p.Timing.ReconnectInterval.Seconds()
	through := exchangeWithin(p.Timing.TCPTimeout, p.Loss, p.Delay)
	meeting := inverted(func(t float64) float64 {
		return 1 - p.noMeeting(t/every, through, a, b)*p.noMeeting(t/every, through, b, a)
	}, 1000*every)
	whole := p.spread(p.Members, p.Members-1)
	twice := meeting.plus(meeting).plus(p.exchange()).plus(p.exchange())
	refuted := whole.one().plus(whole.byGossip())
	gossip := twice.plus(refuted).plus(whole.byGossip())
	all := twice.plus(whole.one().plus(whole.everywhere())).plus(whole.everywhere())
	return whole.bound().with(all, gossip), true
}

// noMeeting is the probability that none of a side has reached the other after so many intervals.
func (p Pool) noMeeting(intervals, through float64, side, other int) float64 {
	chance := through * min(1, float64(other)/float64(side))
	whole, part := math.Modf(intervals)
	return math.Pow(math.Pow(1-chance, whole)*(1-chance*part), float64(side))
}

package model

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"faultline/checker/gossip"
)

// Views of a member. A member that nothing has happened to has no views: it is what base says, for everybody.
const (
	absent uint8 = iota // never heard of, or forgotten
	alive
	suspect
	dead
	left
	reaped // dead, forgotten by memberlist, and remembered by an agent that reconnects
)

const (
	stopped uint8 = iota
	running
	leaving
)

// never is a time that does not come.
const never = math.MaxInt64

// sim is a run. Times are nanoseconds; members are numbers in the order of their gossip's phase, so that a tick of all is a
// walk through memory.
type sim struct {
	c   Config
	t   gossip.Timing
	now int64
	end int64
	rng random

	n      int // members, joiners included
	delay  int64
	splits bool
	border int32 // of a partition
	uneven bool  // lossIn and lossOut count

	// One element a member.
	status  []uint8
	paused  []int64 // until then
	touched []bool  // an action has ever paused or impaired it
	fresh   []bool  // has joined, and has heard of nobody yet
	inc     []uint32
	known   []int32 // how many it knows of, itself included
	limit   []uint8 // copies of a broadcast
	queue   [][]broadcast
	lossIn  []float32
	lossOut []float32

	gossipPhase []int64
	probePhase  []int64
	probeOrder  []int32
	probes      []probe

	active     []uint64 // who has something to send: one bit a member
	gossipNext int32    // n: nobody in this round
	gossipFrom int32
	gossipBase int64
	probeNext  int
	probeBase  int64

	// One element a member that something has happened to.
	views   []*view
	viewOf  []int32 // -1: none
	base    []uint8
	baseInc []uint32
	free    []int32
	bytes   int64 // that views take

	wire   wire
	timers heap
	relays []relay
	idle   []int32 // relays
	buffer []message

	packets, sent float64
	upTime        float64 // pairs of members that were up, in seconds
	ups           int
	upSince       int64
	mistakes      int
	mistaken      float64 // seconds
	result        Result
	watched       map[int32]int // outcome of a member; looked up when its state changes only
	err           error
}

// view is what everybody holds of one member.
type view struct {
	member  int32
	state   []uint8
	inc     []uint32
	changed []int64

	// Suspicions, made with the first.
	start     []int64
	deadline  []int64
	confirmed []uint8
	from      []int32 // width for each observer
	width     int

	queued    int // broadcasts about it, of all members
	suspected int // members with a timer
}

// broadcast is what a member has yet to send. It has one about each member at most.
type broadcast struct {
	message
	sent uint8
	id   uint32
}

type message struct {
	about, from int32
	inc         uint32
	kind        uint8 // alive, suspect, dead or left
}

// Run plays a run. The same configuration plays the same.
func Run(c Config) (Result, error) {
	if err := c.validate(); err != nil {
		return Result{}, err
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = 1500
	}
	s := newSim(c)
	s.loop()
	return s.finish()
}

func newSim(c Config) *sim {
	n := c.Members + c.Joiners
	s := &sim{c: c, t: c.Timing, n: n, end: int64(c.Duration), delay: int64(c.Delay), rng: seeded(c.Seed),
		status: make([]uint8, n), paused: make([]int64, n), touched: make([]bool, n), fresh: make([]bool, n), inc: make([]uint32, n),
		known: make([]int32, n), limit: make([]uint8, n), queue: make([][]broadcast, n),
		gossipPhase: make([]int64, n), probePhase: make([]int64, n), probeOrder: make([]int32, n), probes: make([]probe, n),
		active: make([]uint64, (n+63)/64), viewOf: make([]int32, n), base: make([]uint8, n), baseInc: make([]uint32, n), watched: map[int32]int{}}
	// Both of a member's tickers begin when it does.
	begins := make([]int64, n)
	for i := range begins {
		begins[i] = int64(s.rng.float() * float64(s.t.ProbeInterval) * 64)
	}
	gossip := int64(s.t.GossipInterval)
	slices.SortFunc(begins, func(a, b int64) int { return int(a%gossip - b%gossip) })
	for i, at := range begins {
		s.gossipPhase[i], s.probePhase[i], s.probeOrder[i] = at%gossip, at%int64(s.t.ProbeInterval), int32(i)
	}
	slices.SortStableFunc(s.probeOrder, func(a, b int32) int { return int(s.probePhase[a] - s.probePhase[b]) })
	for i := range n {
		s.viewOf[i], s.inc[i] = -1, 1
		s.probes[i].place = -1
		if i >= c.Members {
			continue
		}
		s.status[i], s.base[i], s.baseInc[i] = running, alive, 1
		s.setKnown(int32(i), int32(c.Members))
		// Members have been there for a while.
		s.shuffle(int32(i))
		s.probes[i].place = int32(s.rng.below(n))
		s.pushPullLater(int32(i), int64(s.rng.float()*float64(s.t.PushPullEvery(c.Members))))
		if s.t.ReconnectInterval > 0 {
			s.timers.push(event{at: int64(s.rng.float() * float64(s.t.ReconnectInterval)), kind: evReconnect, a: int32(i)})
		}
	}
	s.ups = c.Members
	s.gossipNext = int32(n)
	for i, a := range c.Actions {
		s.timers.push(event{at: int64(a.At), kind: evAction, a: int32(a.Member), b: int32(i), class: 1})
	}
	s.timers.push(event{at: int64(10 * time.Second), kind: evSweep, a: -1})
	return s
}

// loop goes from moment to moment. At the same one, packets come first, then gossip, timers and probes: a probe's deadline is its
// prober's next tick, which waits for it.
func (s *sim) loop() {
	for s.err == nil {
		packet, tick, timer := s.wire.next(), s.gossipAt(), s.timers.next()
		probe := s.probeBase + s.probePhase[s.probeOrder[s.probeNext]]
		s.now = min(packet, tick, timer, probe)
		if s.now >= s.end {
			return
		}
		switch s.now {
		case packet:
			s.deliver()
		case tick:
			s.gossipTick()
		case timer:
			s.fire(s.timers.pop())
		default:
			i := s.probeOrder[s.probeNext]
			if s.probeNext++; s.probeNext == s.n {
				s.probeNext, s.probeBase = 0, s.probeBase+int64(s.t.ProbeInterval)
			}
			s.probeTick(i)
		}
	}
}

// gossipAt is when the next member ticks who has something to send, or the round ends.
func (s *sim) gossipAt() int64 {
	if int(s.gossipNext) < s.n {
		return s.gossipBase + s.gossipPhase[s.gossipNext]
	}
	return s.gossipBase + int64(s.t.GossipInterval)
}

func (s *sim) gossipTick() {
	i := s.gossipNext
	if int(i) == s.n {
		s.gossipBase += int64(s.t.GossipInterval)
		s.gossipFrom = 0
		s.gossipNext = s.nextActive(0)
		return
	}
	s.gossipFrom = i + 1
	s.gossipNext = s.nextActive(i + 1)
	if s.paused[i] <= s.now {
		s.gossip(i)
	}
}

func (s *sim) nextActive(from int32) int32 {
	for word := int(from) / 64; word < len(s.active); word++ {
		bitsLeft := s.active[word]
		if word == int(from)/64 {
			bitsLeft &= ^uint64(0) << (uint(from) % 64)
		}
		if bitsLeft != 0 {
			return int32(word*64 + bits.TrailingZeros64(bitsLeft))
		}
	}
	return int32(s.n)
}

func (s *sim) setActive(i int32) {
	s.active[i/64] |= 1 << (uint(i) % 64)
	if i >= s.gossipFrom && i < s.gossipNext && s.gossipBase+s.gossipPhase[i] > s.now {
		s.gossipNext = i
	}
}

func (s *sim) setKnown(i, known int32) {
	s.known[i] = known
	s.limit[i] = uint8(min(255, s.t.RetransmitLimit(int(known))))
}

// see is what a member holds of another, or of itself.
func (s *sim) see(i, of int32) (state uint8, inc uint32) {
	if i == of {
		if s.status[i] == leaving {
			return left, s.inc[i]
		}
		return alive, s.inc[i]
	}
	if v := s.viewOf[of]; v >= 0 {
		return s.views[v].state[i], s.views[v].inc[i]
	}
	if s.fresh[i] {
		return absent, 0
	}
	return s.base[of], s.baseInc[of]
}

// seeing returns the views of a member, to be changed.
func (s *sim) seeing(of int32) *view {
	if v := s.viewOf[of]; v >= 0 {
		return s.views[v]
	}
	v := &view{member: of, state: make([]uint8, s.n), inc: make([]uint32, s.n), changed: make([]int64, s.n)}
	for i := range v.state {
		if !s.fresh[i] {
			v.state[i], v.inc[i] = s.base[of], s.baseInc[of]
		}
	}
	if s.bytes += int64(s.n) * 13; s.bytes > int64(s.c.MemoryMB)<<20 {
		s.err = fmt.Errorf("after %v the views of those who change take more than %d MB: %d of %d members", time.Duration(s.now), s.c.MemoryMB, len(s.views)-len(s.free), s.n)
	}
	if k := len(s.free); k > 0 {
		s.viewOf[of] = s.free[k-1]
		s.free = s.free[:k-1]
		s.views[s.viewOf[of]] = v
	} else {
		s.viewOf[of] = int32(len(s.views))
		s.views = append(s.views, v)
	}
	return v
}

// sweep forgets views that all who run agree in, and that nobody speaks of.
func (s *sim) sweep() {
	for slot, v := range s.views {
		if v == nil || v.queued > 0 || v.suspected > 0 {
			continue
		}
		first, inc, agree := absent, uint32(0), true
		seen := false
		for i := range v.state {
			if s.status[i] != running || int32(i) == v.member {
				continue
			}
			if !seen {
				first, inc, seen = v.state[i], v.inc[i], true
			}
			old := v.state[i] == dead || v.state[i] == left
			if v.state[i] != first || v.inc[i] != inc || first == reaped || s.fresh[i] || old && (s.t.ReconnectInterval > 0 || s.now-v.changed[i] <= int64(s.t.GossipToTheDead)+int64(time.Minute)) {
				agree = false
				break
			}
		}
		if !agree || !seen || first == alive && s.status[v.member] != running {
			continue
		}
		if first == dead || first == left {
			if s.status[v.member] == running {
				continue // it may come back
			}
			first = absent
			for i := range v.state {
				if s.status[i] == running {
					s.setKnown(int32(i), s.known[i]-1)
				}
			}
		}
		s.base[v.member], s.baseInc[v.member] = first, inc
		s.viewOf[v.member] = -1
		s.views[slot] = nil
		s.free = append(s.free, int32(slot))
		s.bytes -= int64(s.n) * 13
		if v.start != nil {
			s.bytes -= int64(s.n) * int64(17+4*v.width)
		}
	}
}

// random is SplitMix64.
type random struct{ state uint64 }

// seeded draws nothing that another seed draws: seeds that follow each other must not be places of one sequence.
func seeded(seed uint64) random {
	r := random{state: seed}
	return random{state: r.next() ^ bits.RotateLeft64(r.next(), 32)}
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) float() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *random) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

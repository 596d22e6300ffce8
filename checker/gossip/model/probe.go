package model

import (
	"time"

	"faultline/checker/gossip"
)

// probe is what a member knows of its round-robin, and of the probe that it waits for: there is one at a time.
type probe struct {
	place         int32 // in the pass
	stride, first int32 // of the pass: place k is member first + k·stride, a permutation
	score         uint8 // Lifeguard's awareness

	open     bool
	ticked   bool // a tick has come while it was open
	overTCP  bool
	late     bool // the direct ping has timed out
	nacks    uint8
	expected uint8
	target   int32
	seq      uint32
	inc      uint32
	deadline int64
}

// relay is a helper's ping.
type relay struct {
	from, target int32
	seq          uint32
	acked        bool
	until        int64
}

// shuffle begins a pass. A whole permutation for each member would need memory of N²; a stride that has no divisor in common with N
// makes one out of two numbers, in which each member's place is uniform and independent of the last pass: all that detection depends on.
func (s *sim) shuffle(i int32) {
	o := &s.probes[i]
	o.place = 0
	o.first = int32(s.rng.below(s.n))
	for {
		if o.stride = int32(1 + s.rng.below(s.n)); coprime(int(o.stride), s.n) {
			return
		}
	}
}

func coprime(a, b int) bool {
	for b != 0 {
		a, b = b, a%b
	}
	return a == 1
}

func (s *sim) probeTick(i int32) {
	o := &s.probes[i]
	switch {
	case s.status[i] == stopped || o.place < 0:
	case o.open || s.paused[i] > s.now:
		o.ticked = true
	default:
		s.probe(i)
	}
}

// probe probes the next member that is alive or suspect.
func (s *sim) probe(i int32) {
	o := &s.probes[i]
	o.ticked = false
	for range s.n + 1 {
		if int(o.place) >= s.n {
			s.reap(i)
			s.shuffle(i)
		}
		to := int32((int64(o.first) + int64(o.place)*int64(o.stride)) % int64(s.n))
		o.place++
		if to == i {
			continue
		}
		if state, inc := s.see(i, to); state == alive || state == suspect {
			s.probeMember(i, to, state, inc)
			return
		}
	}
}

func (s *sim) probeMember(i, to int32, state uint8, inc uint32) {
	o := &s.probes[i]
	quiet := state == alive && !s.touched[i] && !s.touched[to] && len(s.queue[i]) == 0 && len(s.queue[to]) == 0
	if quiet && s.status[to] != stopped && s.paused[to] <= s.now && 2*s.delay < int64(s.t.ProbeTimeout) && s.passes(i, to) && s.passes(to, i) {
		// Most probes: a ping and its ack, with nothing to tell, both of which arrive.
		s.packets += 2
		s.sent += gossip.PingBytes + gossip.AckBytes
		s.aware(i, -1)
		return
	}
	o.seq++
	o.open, o.overTCP, o.late, o.nacks, o.expected = true, false, false, 0, 0
	o.target, o.inc = to, inc
	o.deadline = s.now + int64(s.t.ProbeInterval)*int64(o.score+1)
	switch {
	case quiet: // it is known to fail
		s.packets++
		s.sent += gossip.PingBytes
	case state == alive:
		s.send(packet{from: i, to: to, kind: ping, seq: o.seq, via: -1}, true)
	default: // the accusation comes with it, and nothing else
		s.send(packet{from: i, to: to, kind: ping, seq: o.seq, via: -1}, false, message{about: to, from: i, inc: inc, kind: suspect})
	}
	s.timers.push(event{at: s.now + int64(s.t.ProbeTimeout), kind: evProbeTimeout, a: i, b: int32(o.seq)})
}

// probeTimeout asks helpers, and tries TCP.
func (s *sim) probeTimeout(i int32, seq uint32) {
	o := &s.probes[i]
	if !o.open || o.seq != seq {
		return
	}
	o.late = true
	var chosen [64]int32
	for _, helper := range s.choose(i, min(64, s.t.IndirectChecks), o.target, chosen[:0], s.holdsAlive) {
		o.expected++
		s.send(packet{from: i, to: helper, kind: indirect, target: o.target, seq: seq, via: -1}, true)
	}
	if !s.t.DisableTCPPings && s.status[o.target] != stopped {
		took := gossip.ExchangeTime(s.rng.float, s.lossBetween(i, o.target), s.c.Delay)
		o.overTCP = took != gossip.Never && max(s.now, s.paused[o.target])+int64(took) <= o.deadline
	}
	s.timers.push(event{at: max(s.now, o.deadline), kind: evProbeEnd, a: i, b: int32(seq)})
}

func (s *sim) probeEnd(i int32, seq uint32) {
	o := &s.probes[i]
	if !o.open || o.seq != seq {
		return
	}
	if o.overTCP {
		s.aware(i, -1)
	} else {
		switch {
		case o.expected == 0:
			s.aware(i, 1)
		case o.nacks < o.expected:
			s.aware(i, int(o.expected-o.nacks))
		}
		s.receive(i, message{about: o.target, from: i, inc: o.inc, kind: suspect})
	}
	s.closeProbe(i)
}

func (s *sim) closeProbe(i int32) {
	s.probes[i].open = false
	if s.probes[i].ticked && s.paused[i] <= s.now {
		s.probe(i)
	}
}

func (s *sim) aware(i int32, by int) {
	o := &s.probes[i]
	o.score = uint8(min(max(0, int(o.score)+by), s.t.AwarenessMaxMultiplier-1))
}

// acked takes an ack: of a helper's ping, which goes on to who asked, or of a probe.
func (s *sim) acked(p packet) {
	if p.via >= 0 {
		r := &s.relays[p.via]
		if r.from >= 0 && !r.acked && s.now < r.until && p.to != r.from {
			r.acked = true
			s.send(packet{from: p.to, to: r.from, kind: ack, seq: r.seq, via: -1}, true)
		}
		return
	}
	o := &s.probes[p.to]
	if o.open && o.seq == p.seq && s.now <= o.deadline {
		s.aware(p.to, -1)
		s.closeProbe(p.to)
	}
}

// relay is a helper's part.
func (s *sim) relay(p packet) {
	r := relay{from: p.from, target: p.target, seq: p.seq, until: s.now + int64(s.t.ProbeTimeout)}
	var at int32
	if k := len(s.idle); k > 0 {
		at = s.idle[k-1]
		s.idle = s.idle[:k-1]
		s.relays[at] = r
	} else {
		at = int32(len(s.relays))
		s.relays = append(s.relays, r)
	}
	s.send(packet{from: p.to, to: p.target, kind: ping, via: at}, true)
	s.timers.push(event{at: r.until, kind: evNack, a: p.to, b: at})
}

func (s *sim) relayOver(helper, at int32) {
	if r := s.relays[at]; !r.acked {
		s.send(packet{from: helper, to: r.from, kind: nack, seq: r.seq, via: -1}, true)
	}
	s.relays[at].from = -1
	// An ack that is under way must not find somebody else's.
	s.timers.push(event{at: s.now + 2*s.delay + int64(time.Minute), kind: evIdle, class: 1, a: -1, b: at})
}

// reap forgets who is dead for long, at the end of a pass (state.go, resetNodes).
func (s *sim) reap(i int32) {
	for _, v := range s.views {
		if v == nil || v.state[i] != dead && v.state[i] != left || s.now-v.changed[i] <= int64(s.t.GossipToTheDead) {
			continue
		}
		s.setKnown(i, s.known[i]-1)
		if v.state[i] == dead && s.t.ReconnectInterval > 0 {
			v.state[i] = reaped
		} else {
			v.state[i] = absent
		}
		v.inc[i] = 0
	}
}

package model

import (
	"time"

	"faultline/checker/gossip"
)

const (
	evProbeTimeout uint8 = iota
	evProbeEnd
	evNack
	evIdle
	evSuspicion
	evPushPull
	evExchange
	evReconnect
	evAction
	evResume
	evPacket
	evSweep
	evJoin
)

// event is due at a time. Of those due at the same, the lower class comes first: what a process that was stopped finds is timers that
// are over, and then its packets.
type event struct {
	at     int64
	order  uint32
	kind   uint8
	class  uint8
	a, b   int32 // a: whose it is, or -1
	packet *held
}

type held struct {
	packet
	messages []message
}

// heap has the earliest event first.
type heap struct {
	events []event
	order  uint32
}

func (h *heap) next() int64 {
	if len(h.events) == 0 {
		return never
	}
	return h.events[0].at
}

func (e *event) before(o *event) bool {
	switch {
	case e.at != o.at:
		return e.at < o.at
	case e.class != o.class:
		return e.class < o.class
	}
	return int32(e.order-o.order) < 0
}

func (h *heap) push(e event) {
	h.order++
	e.order = h.order
	h.events = append(h.events, e)
	i := len(h.events) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h.events[up]) {
			break
		}
		h.events[i] = h.events[up]
		i = up
	}
	h.events[i] = e
}

func (h *heap) pop() event {
	top := h.events[0]
	last := len(h.events) - 1
	e := h.events[last]
	h.events[last].packet = nil
	h.events = h.events[:last]
	i := 0
	for {
		least := 4*i + 1
		if least >= last {
			break
		}
		for c := least + 1; c < min(4*i+5, last); c++ {
			if h.events[c].before(&h.events[least]) {
				least = c
			}
		}
		if !h.events[least].before(&e) {
			break
		}
		h.events[i] = h.events[least]
		i = least
	}
	if last > 0 {
		h.events[i] = e
	}
	return top
}

func (s *sim) fire(e event) {
	if e.a >= 0 && e.kind != evAction && e.kind != evResume && e.kind != evJoin {
		if s.status[e.a] == stopped {
			if e.kind == evNack {
				s.idle = append(s.idle, e.b)
			}
			return
		}
		if s.paused[e.a] > s.now { // its process finds it when it goes on
			e.at = s.paused[e.a]
			s.timers.push(e)
			return
		}
	}
	switch e.kind {
	case evProbeTimeout:
		s.probeTimeout(e.a, uint32(e.b))
	case evProbeEnd:
		s.probeEnd(e.a, uint32(e.b))
	case evNack:
		s.relayOver(e.a, e.b)
	case evIdle:
		s.idle = append(s.idle, e.b)
	case evSuspicion:
		s.suspicionOver(e.a, e.b)
	case evPushPull:
		s.pushPull(e.a)
	case evExchange:
		s.exchange(e.a, e.b)
	case evReconnect:
		s.reconnect(e.a)
	case evAction:
		s.act(s.c.Actions[e.b])
	case evResume:
		s.resume(e.a)
	case evPacket:
		s.handle(e.packet.packet, e.packet.messages)
	case evSweep:
		s.sweep()
		s.timers.push(event{at: s.now + int64(5*time.Second), kind: evSweep, a: -1})
	case evJoin:
		s.join(e.a, e.b)
	}
}

func (s *sim) pushPullLater(i int32, more int64) {
	if every := s.t.PushPullEvery(int(s.known[i])); every > 0 {
		s.timers.push(event{at: s.now + more, kind: evPushPull, a: i})
	}
}

// pushPull exchanges all state with a random member that is held alive.
func (s *sim) pushPull(i int32) {
	every := int64(s.t.PushPullEvery(int(s.known[i])))
	var one [1]int32
	for _, with := range s.choose(i, 1, -1, one[:0], s.holdsAlive) {
		every += s.begin(i, with)
	}
	s.pushPullLater(i, every)
}

// begin starts an exchange, and returns how long it takes or is waited for.
func (s *sim) begin(i, with int32) int64 {
	took := gossip.ExchangeTime(s.rng.float, s.lossBetween(i, with), s.c.Delay)
	if s.status[with] == stopped && !(s.splits && (i < s.border) != (with < s.border)) {
		return int64(2 * s.c.Delay) // refused
	}
	if s.status[with] == stopped || took > s.t.TCPTimeout || s.paused[with] > s.now+int64(s.t.TCPTimeout) {
		return int64(s.t.TCPTimeout)
	}
	at := max(s.now, s.paused[with]) + int64(took)
	s.timers.push(event{at: at, kind: evExchange, class: 1, a: i, b: with})
	return at - s.now
}

// exchange merges what two members held before it (state.go, mergeState).
func (s *sim) exchange(i, with int32) {
	if s.status[with] == stopped {
		return
	}
	s.sent += gossip.ExchangeBytes + gossip.StateBytes*float64(s.known[i]+s.known[with])
	if s.fresh[i] != s.fresh[with] {
		who, from := i, with
		if s.fresh[with] {
			who, from = with, i
		}
		s.fresh[who] = false
		known := s.known[who]
		for of := range int32(s.n) {
			if s.viewOf[of] < 0 && s.base[of] != absent {
				known++
			}
		}
		_ = from
		s.setKnown(who, known)
	}
	slots := len(s.views)
	for slot := range slots {
		v := s.views[slot]
		if v == nil {
			continue
		}
		mine, myInc := s.see(i, v.member)
		theirs, theirInc := s.see(with, v.member)
		s.merge(i, v.member, theirs, theirInc)
		s.merge(with, v.member, mine, myInc)
	}
	for _, of := range [2]int32{i, with} { // who has no view of its own may be a new one to the other
		if s.viewOf[of] < 0 && s.base[of] == absent {
			s.merge(i+with-of, of, alive, s.inc[of])
		}
	}
}

func (s *sim) merge(i, of int32, state uint8, inc uint32) {
	switch state {
	case alive:
		s.receive(i, message{about: of, from: of, inc: inc, kind: alive})
	case left:
		s.receive(i, message{about: of, from: of, inc: inc, kind: left})
	case dead, suspect: // a death is only a suspicion
		s.receive(i, message{about: of, from: i, inc: inc, kind: suspect})
	}
}

// reconnect is Serf's: with the probability failed/alive, one failed member.
func (s *sim) reconnect(i int32) {
	s.timers.push(event{at: s.now + int64(s.t.ReconnectInterval), kind: evReconnect, a: i})
	failed, chosen := 0, int32(-1)
	for _, v := range s.views {
		if v != nil && (v.state[i] == dead || v.state[i] == reaped) {
			if failed++; s.rng.below(failed) == 0 {
				chosen = v.member
			}
		}
	}
	if failed > 0 && s.rng.float() < float64(failed)/float64(max(1, int(s.known[i])-failed)) {
		s.begin(i, chosen)
	}
}

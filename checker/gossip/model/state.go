package model

import "time"

// receive is what a member does with a message, its own too: memberlist's aliveNode, suspectNode and deadNode.
func (s *sim) receive(i int32, m message) {
	switch m.kind {
	case alive:
		s.hearAlive(i, m)
	case suspect:
		s.hearSuspect(i, m)
	default:
		s.hearDead(i, m)
	}
}

func (s *sim) hearAlive(i int32, m message) {
	if i == m.about {
		if s.status[i] == running && m.inc > s.inc[i] {
			s.refute(i, m.inc)
		}
		return
	}
	state, inc := s.see(i, m.about)
	unknown := state == absent || state == reaped
	if !unknown && m.inc <= inc {
		return
	}
	v := s.seeing(m.about)
	if unknown {
		s.setKnown(i, s.known[i]+1)
	}
	s.endSuspicion(v, i)
	s.enqueue(i, m)
	s.set(v, i, alive, m.inc)
}

func (s *sim) hearSuspect(i int32, m message) {
	state, inc := s.see(i, m.about)
	if state == absent || state == reaped || m.inc < inc {
		return
	}
	if i == m.about {
		if state == alive {
			s.refute(i, m.inc)
		}
		return
	}
	if state == suspect {
		if v := s.seeing(m.about); s.confirm(v, i, m.from) {
			s.enqueue(i, m)
		}
		return
	}
	if state != alive {
		return
	}
	v := s.seeing(m.about)
	s.enqueue(i, m)
	s.set(v, i, suspect, m.inc)
	s.startSuspicion(v, i, m.from)
}

func (s *sim) hearDead(i int32, m message) {
	state, inc := s.see(i, m.about)
	if state == absent || state == reaped || m.inc < inc {
		return
	}
	if i == m.about {
		if state == alive {
			s.refute(i, m.inc)
		}
		return
	}
	v := s.seeing(m.about)
	s.endSuspicion(v, i)
	if state == dead || state == left {
		return
	}
	s.enqueue(i, m)
	s.set(v, i, m.kind, m.inc)
}

// refute says that a member is alive, with a number above the accusation's.
func (s *sim) refute(i int32, accused uint32) {
	s.inc[i] = max(s.inc[i], accused) + 1
	s.aware(i, 1)
	s.enqueue(i, message{about: i, from: i, inc: s.inc[i], kind: alive})
}

func (s *sim) set(v *view, i int32, state uint8, inc uint32) {
	was, wasInc, since := v.state[i], v.inc[i], v.changed[i]
	v.state[i], v.inc[i] = state, inc
	if was != state {
		v.changed[i] = s.now
	}
	if was == dead && state == alive {
		s.corrected(i, v.member, since)
	}
	s.note(v, i, was, wasInc)
}

func (s *sim) startSuspicion(v *view, i, from int32) {
	if v.start == nil {
		v.width = max(1, s.t.SuspicionMult-1)
		v.start, v.deadline, v.confirmed, v.from = make([]int64, s.n), make([]int64, s.n), make([]uint8, s.n), make([]int32, s.n*v.width)
		s.bytes += int64(s.n) * int64(17+4*v.width)
	}
	v.suspected++
	v.start[i], v.confirmed[i] = s.now, 0
	v.from[int(i)*v.width] = from
	v.deadline[i] = s.now + int64(s.t.SuspicionTimeout(int(s.known[i]), 0))
	s.timers.push(event{at: v.deadline[i], kind: evSuspicion, a: i, b: v.member})
}

func (s *sim) endSuspicion(v *view, i int32) {
	if v.start != nil && v.deadline[i] != 0 {
		v.deadline[i] = 0
		v.suspected--
	}
}

// confirm counts a suspicion by somebody else, and reports whether it is news.
func (s *sim) confirm(v *view, i, from int32) bool {
	k := s.t.Confirmations(int(s.known[i]))
	n := int(v.confirmed[i])
	if n >= k {
		return false
	}
	mine := v.from[int(i)*v.width:]
	for c := 0; c <= n; c++ {
		if mine[c] == from {
			return false
		}
	}
	v.confirmed[i]++
	mine[n+1] = from
	v.deadline[i] = max(s.now, v.start[i]+int64(s.t.SuspicionTimeout(int(s.known[i]), n+1)))
	s.timers.push(event{at: v.deadline[i], kind: evSuspicion, a: i, b: v.member})
	return true
}

func (s *sim) suspicionOver(i, about int32) {
	slot := s.viewOf[about]
	if slot < 0 {
		return
	}
	v := s.views[slot]
	// A timer that was moved has another event; one that waited for its process is due all the same.
	if v.start == nil || v.state[i] != suspect || v.deadline[i] == 0 || v.deadline[i] > s.now {
		return
	}
	s.receive(i, message{about: about, from: i, inc: v.inc[i], kind: dead})
}

func (s *sim) act(a Action) {
	i := int32(a.Member)
	switch a.Kind {
	case Crash:
		s.watch(a)
		s.stop(i)
	case Leave:
		if s.status[i] == running {
			s.watch(a)
			s.status[i] = leaving
			s.enqueue(i, message{about: i, from: i, inc: s.inc[i], kind: left})
		}
	case Update:
		if s.status[i] == running {
			s.inc[i]++
			s.watch(a)
			s.enqueue(i, message{about: i, from: i, inc: s.inc[i], kind: alive})
		}
	case Pause:
		s.touched[i] = true
		if s.status[i] != stopped {
			s.paused[i] = max(s.paused[i], s.now+int64(a.For))
			s.timers.push(event{at: s.paused[i], kind: evResume, class: 3, a: i})
		}
	case Join:
		if s.status[i] == stopped {
			s.ageUp()
			s.status[i] = running
			s.ups++
			s.fresh[i] = true
			for _, v := range s.views {
				if v != nil {
					v.state[i], v.inc[i] = absent, 0
				}
			}
			s.watch(a)
			s.setKnown(i, 1)
			s.shuffle(i)
			s.enqueue(i, message{about: i, from: i, inc: s.inc[i], kind: alive})
			s.pushPullLater(i, int64((1+s.rng.float())*float64(s.t.PushPullInterval)))
			if s.t.ReconnectInterval > 0 {
				s.timers.push(event{at: s.now + int64(s.t.ReconnectInterval), kind: evReconnect, a: i})
			}
			s.join(i, int32(a.With))
		}
	case Partition:
		s.splits, s.border = true, i
	case Heal:
		s.splits = false
	case Impair:
		if s.lossIn == nil {
			s.lossIn, s.lossOut = make([]float32, s.n), make([]float32, s.n)
		}
		s.uneven, s.touched[i] = true, true
		s.lossIn[i], s.lossOut[i] = float32(a.In), float32(a.Out)
	}
}

// join exchanges state with a member, again and again until that is done.
func (s *sim) join(i, with int32) {
	if s.status[i] != running || !s.fresh[i] {
		return
	}
	s.begin(i, with)
	s.timers.push(event{at: s.now + int64(s.t.TCPTimeout+time.Second), kind: evJoin, a: i, b: with})
}

func (s *sim) stop(i int32) {
	if s.status[i] == stopped {
		return
	}
	s.ageUp()
	s.ups--
	s.status[i] = stopped
	for _, b := range s.queue[i] {
		s.unqueued(b.about)
	}
	s.queue[i] = nil
	s.active[i/64] &^= 1 << (uint(i) % 64)
	for _, v := range s.views {
		if v != nil {
			s.endSuspicion(v, i)
		}
	}
	s.probes[i].open = false
}

// resume goes on with what a stopped process has missed: one tick of each ticker.
func (s *sim) resume(i int32) {
	if s.status[i] == stopped || s.paused[i] > s.now {
		return
	}
	if s.probes[i].ticked && !s.probes[i].open {
		s.probe(i)
	}
	if len(s.queue[i]) > 0 {
		s.gossip(i)
	}
}

package model

import (
	"cmp"
	"slices"

	"faultline/checker/gossip"
)

// What a packet carries beside broadcasts.
const (
	plain    uint8 = iota
	ping           // a probe's, or a helper's: via is the relay, or -1
	ack            // of a probe, or of a helper's ping
	indirect       // a request to a helper
	nack
)

type packet struct {
	at       int64
	from, to int32
	kind     uint8
	target   int32 // of indirect
	seq      uint32
	via      int32
	messages int32
}

// wire holds the packets that are under way. All take the same time, so the first that was sent is the first that arrives.
type wire struct {
	packets  []packet
	messages []message
	p, m     int
}

func (w *wire) next() int64 {
	if w.p == len(w.packets) {
		return never
	}
	return w.packets[w.p].at
}

// pop returns a packet and its messages, which are good until the next push.
func (w *wire) pop() (packet, []message) {
	p := w.packets[w.p]
	m := w.messages[w.m : w.m+int(p.messages)]
	w.p, w.m = w.p+1, w.m+int(p.messages)
	return p, m
}

func (w *wire) push(p packet, messages []message) {
	if w.p > 4096 && w.p > len(w.packets)/2 {
		w.packets = w.packets[:copy(w.packets, w.packets[w.p:])]
		w.messages = w.messages[:copy(w.messages, w.messages[w.m:])]
		w.p, w.m = 0, 0
	}
	p.messages = int32(len(messages))
	w.packets = append(w.packets, p)
	w.messages = append(w.messages, messages...)
}

var sizes = [...]float64{alive: gossip.AliveBytes, suspect: gossip.SuspectBytes, dead: gossip.DeadBytes, left: gossip.DeadBytes}
var headers = [...]float64{plain: gossip.PacketBytes, ping: gossip.PingBytes, ack: gossip.AckBytes, indirect: gossip.IndirectBytes, nack: gossip.AckBytes}

// passes draws whether a packet arrives.
func (s *sim) passes(from, to int32) bool {
	if s.splits && (from < s.border) != (to < s.border) {
		return false
	}
	if s.uneven {
		return s.rng.float() >= 1-(1-s.c.Loss)*(1-float64(s.lossOut[from]))*(1-float64(s.lossIn[to]))
	}
	return s.c.Loss == 0 || s.rng.float() >= s.c.Loss
}

// lossBetween is what TCP meets on the way of two members.
func (s *sim) lossBetween(a, b int32) float64 {
	if s.splits && (a < s.border) != (b < s.border) {
		return 1
	}
	if !s.uneven {
		return s.c.Loss
	}
	there := 1 - (1-s.c.Loss)*(1-float64(s.lossOut[a]))*(1-float64(s.lossIn[b]))
	back := 1 - (1-s.c.Loss)*(1-float64(s.lossOut[b]))*(1-float64(s.lossIn[a]))
	return (there + back) / 2
}

// send sends a packet, with what its sender has to tell if it piggybacks.
func (s *sim) send(p packet, piggyback bool, own ...message) {
	if piggyback && len(s.queue[p.from]) > 0 {
		own = append(s.buffer[:0], own...)
		own = s.take(p.from, headers[p.kind], own)
		s.buffer = own
	}
	s.packets++
	s.sent += headers[p.kind]
	for _, m := range own {
		s.sent += sizes[m.kind] + gossip.CompoundHeader
	}
	if !s.passes(p.from, p.to) {
		return
	}
	p.at = s.now + s.delay
	s.wire.push(p, own)
}

// take adds what a member has to send and what fits, the fewest times sent first, then the longest and the newest
// (queue.go, GetBroadcasts).
func (s *sim) take(i int32, used float64, to []message) []message {
	q := s.queue[i]
	total := used
	for _, b := range q {
		total += sizes[b.kind] + gossip.CompoundHeader
	}
	if total > float64(s.t.UDPBuffer) {
		sortQueue(q)
	}
	room := float64(s.t.UDPBuffer) - used
	kept := q[:0]
	for _, b := range q {
		if need := sizes[b.kind] + gossip.CompoundHeader; need <= room {
			room -= need
			to = append(to, b.message)
			b.sent++
		}
		if b.sent < s.limit[i] {
			kept = append(kept, b)
			continue
		}
		s.unqueued(b.about)
	}
	s.queue[i] = kept
	if len(kept) == 0 {
		s.active[i/64] &^= 1 << (uint(i) % 64)
		if s.status[i] == leaving {
			s.stop(i)
		}
	}
	return to
}

func (s *sim) unqueued(about int32) {
	if v := s.viewOf[about]; v >= 0 {
		s.views[v].queued--
	}
}

// enqueue has a member send a message, instead of what it had to send about the same member.
func (s *sim) enqueue(i int32, m message) {
	v := s.seeing(m.about)
	q := s.queue[i]
	for k := range q {
		if q[k].about == m.about {
			q[k] = broadcast{message: m, id: q[k].id + 1}
			return
		}
	}
	v.queued++
	s.queue[i] = append(q, broadcast{message: m, id: uint32(len(q))})
	s.setActive(i)
}

// gossip sends to a few members what there is to send.
func (s *sim) gossip(i int32) {
	var targets [64]int32
	for _, to := range s.choose(i, s.t.GossipNodes, -1, targets[:0], s.gossipsTo) {
		if len(s.queue[i]) == 0 {
			return
		}
		s.send(packet{from: i, to: to, kind: plain, via: -1}, true)
	}
}

func (s *sim) gossipsTo(i, to int32) bool {
	switch state, _ := s.see(i, to); state {
	case alive, suspect:
		return true
	case dead:
		v := s.viewOf[to]
		return v >= 0 && s.now-s.views[v].changed[i] <= int64(s.t.GossipToTheDead)
	}
	return false
}

func (s *sim) holdsAlive(i, to int32) bool {
	state, _ := s.see(i, to)
	return state == alive
}

// choose draws distinct members for whom ok holds (util.go, kRandomNodes).
func (s *sim) choose(i int32, k int, not int32, chosen []int32, ok func(i, to int32) bool) []int32 {
	if s.n <= 3*k+1 {
		order := make([]int32, s.n)
		for j := range order {
			at := s.rng.below(j + 1)
			order[j] = order[at]
			order[at] = int32(j)
		}
		for _, to := range order {
			if to != i && to != not && len(chosen) < k && ok(i, to) {
				chosen = append(chosen, to)
			}
		}
		return chosen
	}
draw:
	for try := 0; try < 3*s.n && len(chosen) < k; try++ {
		to := int32(s.rng.below(s.n))
		if to == i || to == not || !ok(i, to) {
			continue
		}
		for _, c := range chosen {
			if c == to {
				continue draw
			}
		}
		chosen = append(chosen, to)
	}
	return chosen
}

// deliver hands a packet over. Those to a member that is paused wait for its end.
func (s *sim) deliver() {
	p, messages := s.wire.pop()
	if s.status[p.to] == stopped {
		return
	}
	if s.paused[p.to] > s.now {
		s.timers.push(event{at: s.paused[p.to], kind: evPacket, class: 2, a: p.to, packet: &held{p, append([]message(nil), messages...)}})
		return
	}
	// Handling may send, which moves what is on the wire.
	s.handle(p, append(make([]message, 0, 8), messages...))
}

func (s *sim) handle(p packet, messages []message) {
	for _, m := range messages {
		s.receive(p.to, m)
	}
	switch p.kind {
	case ping:
		s.send(packet{from: p.to, to: p.from, kind: ack, seq: p.seq, via: p.via}, true)
	case ack:
		s.acked(p)
	case indirect:
		s.relay(p)
	case nack:
		if o := &s.probes[p.to]; o.open && o.seq == p.seq {
			o.nacks++
		}
	}
}

func sortQueue(q []broadcast) {
	slices.SortFunc(q, func(a, b broadcast) int {
		return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(sizes[b.kind], sizes[a.kind]), cmp.Compare(b.id, a.id))
	})
}

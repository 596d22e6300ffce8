package model

import (
	"math"
	"slices"
	"time"

	"faultline/checker/gossip"
)

// watch begins to follow what becomes of an action. It is the last one about its member that is followed.
func (s *sim) watch(a Action) {
	s.watched[int32(a.Member)] = len(s.result.Outcomes)
	s.result.Outcomes = append(s.result.Outcomes, Outcome{Action: a, inc: s.inc[a.Member], Suspected: gossip.Never, First: gossip.Never, Everywhere: gossip.Never})
}

// note follows a change of a view.
func (s *sim) note(v *view, i int32, was uint8, wasInc uint32) {
	of, state, inc := v.member, v.state[i], v.inc[i]
	if was != state && (state == suspect || state == dead) && s.status[of] == running && s.paused[of] <= s.now && !s.touched[of] &&
		!(s.splits && (i < s.border) != (of < s.border)) {
		if state == suspect {
			s.result.FalseSuspicions++
		} else {
			s.result.FalseDeaths++
			if !s.touched[i] {
				s.result.FalseDeathsAtHealthy++
			}
		}
	}
	if was != dead && state == dead && s.status[of] == running {
		s.mistakes++
	}
	at, ok := s.watched[of]
	if !ok || s.status[i] == stopped {
		return
	}
	o := &s.result.Outcomes[at]
	since := time.Duration(s.now) - o.At
	switch {
	case o.Kind == Crash && state == suspect && o.Suspected == gossip.Never:
		o.Suspected = since
	case o.Kind == Crash && state == dead, o.Kind == Leave && state == left,
		o.Kind == Join && state == alive && was == absent, o.Kind == Update && state == alive && wasInc < o.inc && inc >= o.inc:
		o.Times = append(o.Times, since)
	}
}

// corrected ends a mistake.
func (s *sim) corrected(i, of int32, since int64) {
	if s.status[i] == running && s.status[of] == running {
		s.mistaken += time.Duration(s.now - since).Seconds()
	}
}

// ageUp adds up how long pairs were up, before their number changes.
func (s *sim) ageUp() {
	s.upTime += float64(s.ups) * float64(max(0, s.ups-1)) * time.Duration(s.now-s.upSince).Seconds()
	s.upSince = s.now
}

func (s *sim) finish() (Result, error) {
	s.now = s.end
	s.ageUp()
	r := s.result
	var detections []time.Duration
	for k := range r.Outcomes {
		o := &r.Outcomes[k]
		slices.Sort(o.Times)
		if len(o.Times) > 0 {
			o.First = o.Times[0]
		}
		if s.everybody(o) && len(o.Times) > 0 {
			o.Everywhere = o.Times[len(o.Times)-1]
		}
		if o.Kind == Crash {
			detections = append(detections, o.Times...)
		}
	}
	for _, v := range s.views { // mistakes that last
		if v == nil || s.status[v.member] != running {
			continue
		}
		for i, state := range v.state {
			if state == dead && s.status[i] == running {
				s.mistaken += time.Duration(s.now - v.changed[i]).Seconds()
			}
		}
	}
	seconds := s.c.Duration.Seconds()
	r.Packets, r.Bytes = s.packets/seconds/float64(s.c.Members), s.sent/seconds/float64(s.c.Members)
	r.Quality = Quality{Detection: gossip.Measured(detections), Recurrence: gossip.Never, Accuracy: 1}
	if s.mistakes > 0 && s.upTime > 0 {
		r.Quality.Recurrence = time.Duration(min(math.MaxInt64/2, s.upTime/float64(s.mistakes)*float64(time.Second)))
		r.Quality.Mistake = time.Duration(s.mistaken / float64(s.mistakes) * float64(time.Second))
		r.Quality.Accuracy = 1 - s.mistaken/s.upTime
	}
	return r, s.err
}

// everybody reports whether all who still run at the end know of an outcome.
func (s *sim) everybody(o *Outcome) bool {
	of := int32(o.Member)
	for i := range int32(s.n) {
		if s.status[i] != running || i == of {
			continue
		}
		state, inc := s.see(i, of)
		switch o.Kind {
		case Crash, Leave:
			if state == alive || state == suspect {
				return false
			}
		default:
			if state != alive && state != suspect || inc < o.inc {
				return false
			}
		}
	}
	return true
}

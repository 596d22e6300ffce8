package faults

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Clock is what the clocks of a node's process show beside the truth. The zero value
// is health. The kernel's own clock stays as it is: only this process, from its first
// instruction on, reads another time. A node that is started again meanwhile reads on as
// if its clock had never stopped.
type Clock struct {
	Offset time.Duration `json:"offset_ns,omitempty" yaml:"offset,omitempty"` // the wall clock is so far ahead; negative: behind
	// Drift is how many seconds a second the wall clock gains, from when this drift was
	// asked for; 0.1 is 10 % fast, -0.1 is 10 % slow.
	Drift float64 `json:"drift,omitempty" yaml:"drift,omitempty" want:"seconds gained a second such as 0.1"`
	// Strobe lets the wall clock jump ahead by so much, back after Period, and so on.
	Strobe time.Duration `json:"strobe_ns,omitempty" yaml:"strobe,omitempty"`
	Period time.Duration `json:"period_ns,omitempty" yaml:"period,omitempty"`
	// Monotonic is how many seconds a second the monotonic clock gains. It never steps back,
	// also not at the heal: a process keeps what its clock has gained until it ends. A
	// program that sleeps until a time of this clock can hang, since the kernel sleeps by
	// its own; Go's sleeps are relative.
	Monotonic float64 `json:"monotonic,omitempty" yaml:"monotonic,omitempty" want:"seconds gained a second such as 0.1"`
	// Forward is by how much the monotonic clock leaps ahead, once, as that of a virtual
	// machine may that was stopped for a while. What is said of Monotonic holds of it too.
	Forward time.Duration `json:"forward_ns,omitempty" yaml:"forward,omitempty"`
}

// The ranges within which the effect can be told from the truth, and programs go on.
const (
	leastOffset, mostOffset = 10 * time.Millisecond, 10 * 365 * 24 * time.Hour
	leastDrift, mostDrift   = 0.001, 10
	mostSlow                = -0.9
	leastPeriod, mostPeriod = time.Millisecond, 500 * time.Millisecond // one measurement sees two jumps
)

// hidesWithin is how long after it was asked for a leap of the monotonic clock can still be told from what its
// rate makes of it: nobody knows when in that time the process began.
const hidesWithin = 20 * time.Second

// Merge is what two things make of a clock that do not know of each other: what is gained
// adds up; of two strobes the larger jump counts, and the shorter period.
func (s Clock) Merge(o Clock) Clock {
	return Clock{
		Offset:    s.Offset + o.Offset,
		Drift:     s.Drift + o.Drift,
		Strobe:    larger(s.Strobe, o.Strobe),
		Period:    time.Duration(leastSet(int64(s.Period), int64(o.Period))),
		Monotonic: s.Monotonic + o.Monotonic,
		Forward:   s.Forward + o.Forward,
	}
}

// larger is the jump that goes further, and forward of two that go as far.
func larger(a, b time.Duration) time.Duration {
	if a.Abs() > b.Abs() || a.Abs() == b.Abs() && a > b {
		return a
	}
	return b
}

// Healthy reports whether both clocks show the truth.
func (s Clock) Healthy() bool {
	return s.Offset == 0 && s.Drift == 0 && s.Strobe == 0 && s.Monotonic == 0 && s.Forward == 0
}

// Ahead is by how much the wall clock is ahead, a time after the drift was asked for; of
// a strobe, between its jumps.
func (s Clock) Ahead(after time.Duration) time.Duration {
	return s.Offset + time.Duration(math.Round(s.Drift*float64(after)))
}

// String tells what is asked for: "clock +1h0m0s, drift 0.1", or "healthy".
func (s Clock) String() string {
	var words []string
	if s.Offset != 0 {
		words = append(words, "clock "+signed(s.Offset))
	}
	if s.Drift != 0 {
		words = append(words, "drift "+short(s.Drift))
	}
	if s.Strobe != 0 {
		words = append(words, fmt.Sprintf("strobe %s every %s", signed(s.Strobe), s.Period))
	}
	if s.Monotonic != 0 {
		words = append(words, "monotonic "+short(s.Monotonic))
	}
	if s.Forward != 0 {
		words = append(words, "monotonic "+signed(s.Forward))
	}
	if len(words) == 0 {
		return "healthy"
	}
	return strings.Join(words, ", ")
}

func signed(d time.Duration) string {
	if d > 0 {
		return "+" + d.String()
	}
	return d.String()
}

func (s Clock) needs(need map[Capability]bool) {
	wall := s.Offset != 0 || s.Drift != 0 || s.Strobe != 0
	need[ClockWall] = need[ClockWall] || wall
	need[ClockMonotonic] = need[ClockMonotonic] || s.Monotonic != 0 || s.Forward != 0
}

// Check refuses, by name and range, what could not be told from the truth, or what no
// program is made for.
func (s Clock) Check() error {
	for _, d := range []struct {
		name string
		time time.Duration
	}{{"offset", s.Offset}, {"strobe", s.Strobe}} {
		if d.time != 0 && (d.time.Abs() < leastOffset || d.time.Abs() > mostOffset) {
			return fmt.Errorf("%s is %s: want %s to %s, forward or back", d.name, d.time, leastOffset, mostOffset)
		}
	}
	for _, r := range []struct {
		name string
		rate float64
	}{{"drift", s.Drift}, {"monotonic", s.Monotonic}} {
		if r.rate != 0 && (math.Abs(r.rate) < leastDrift || r.rate > mostDrift || r.rate < mostSlow) {
			return fmt.Errorf("%s is %v: want %v to %v s gained per s, or %v to %v", r.name, r.rate,
				leastDrift, mostDrift, mostSlow, -leastDrift)
		}
	}
	switch {
	case s.Forward != 0 && (s.Forward < leastOffset || s.Forward > mostOffset):
		return fmt.Errorf("forward is %s: want %s to %s, as the monotonic clock never steps back", s.Forward, leastOffset, mostOffset)
	case s.Forward != 0 && s.Forward.Seconds() < math.Abs(s.Monotonic)*hidesWithin.Seconds():
		return fmt.Errorf("forward is %s, which a monotonic clock at %v s per s makes up for within %s: want a longer leap, or a step of its own",
			s.Forward, s.Monotonic, hidesWithin)
	case (s.Strobe != 0) != (s.Period != 0):
		return fmt.Errorf("strobe (a jump) and period (how long each side of it lasts) need each other")
	case s.Period != 0 && (s.Period < leastPeriod || s.Period > mostPeriod):
		return fmt.Errorf("period is %s: want %s to %s", s.Period, leastPeriod, mostPeriod)
	}
	return nil
}

// ClockMeasurement is what the clocks of a node's process were read to show.
type ClockMeasurement struct {
	Read   bool          `json:"read"`                // there was a process to read from
	Offset time.Duration `json:"offset_ns,omitempty"` // of the wall clock against the truth
	After  time.Duration `json:"after_ns,omitempty"`  // how long before the reading what is asked now was asked
	Gained time.Duration `json:"gained_ns,omitempty"` // by the monotonic clock against the truth, since the process began
	// Base is what Gained would be without what is asked now, and BaseWithin how far off that
	// may be.
	Base       time.Duration `json:"base_ns,omitempty"`
	BaseWithin time.Duration `json:"base_within_ns,omitempty"`
	Patched    bool          `json:"patched,omitempty"` // something stands between the process and the kernel's clocks

	// What both clocks were seen to gain a second, between two readings, and how far off that
	// may be.
	Drift     float64 `json:"drift,omitempty"`
	Monotonic float64 `json:"monotonic,omitempty"`
	Within    float64 `json:"within,omitempty"`

	// Looks are what the wall clock showed over more than two periods, if a strobe is asked.
	Looks []ClockSample `json:"looks,omitempty"`
}

// ClockSample is how far a wall clock was ahead at one moment.
type ClockSample struct {
	After  time.Duration `json:"after_ns"` // since what is asked now was asked
	Offset time.Duration `json:"offset_ns"`
	Within time.Duration `json:"within_ns,omitempty"` // how far off both may be
}

// String tells what was seen: "clock +1h0m0.0001s gaining +0.1000 s/s".
func (seen ClockMeasurement) String() string {
	if !seen.Read {
		return "clock not read"
	}
	words := "clock " + signed(seen.Offset.Round(10*time.Microsecond)) + seen.rate(seen.Drift)
	if n := len(seen.Looks); n > 0 {
		low, high := seen.Looks[0].Offset, seen.Looks[0].Offset
		for _, l := range seen.Looks {
			low, high = min(low, l.Offset), max(high, l.Offset)
		}
		words += fmt.Sprintf(", from %s to %s in %d looks", signed(low.Round(10*time.Microsecond)), signed(high.Round(10*time.Microsecond)), n)
	}
	if gained := seen.Gained.Round(10 * time.Microsecond); gained != 0 {
		words += ", monotonic " + signed(gained) + seen.rate(seen.Monotonic)
	}
	return words
}

// rate tells what a clock gains, if that is more than nothing.
func (seen ClockMeasurement) rate(gains float64) string {
	if math.Abs(gains) <= seen.Within {
		return ""
	}
	return fmt.Sprintf(" gaining %+.4f s/s", gains)
}

// clockTolerance is how far a reading may be off: two clocks are read one after the
// other, on a machine that may be busy.
const clockTolerance = 5 * time.Millisecond

// rateTolerance is by which share a rate may be off: NTP slews the true clocks, by 0.0005
// at most (adjtimex(2)), while both readings are taken against them.
const rateTolerance = 0.001

// mismatches compares what was seen with what was asked. Of a process that has ended
// nothing can be said.
func (seen ClockMeasurement) mismatches(want Clock, ended bool) []string {
	switch {
	case !seen.Read && (ended || want.Healthy()):
		return nil
	case !seen.Read:
		return []string{"its clock was not read"}
	}
	var out []string
	if want.Strobe != 0 {
		out = append(out, strobeMismatches(seen.Looks, want)...)
	} else if ahead := want.Ahead(seen.After); (seen.Offset - ahead).Abs() > clockTolerance {
		out = append(out, fmt.Sprintf("its wall clock is %s ahead, not %s", seen.Offset, ahead))
	}
	// It runs as asked since that was asked, or since the process began.
	leapt, since := seen.Gained-seen.Base-want.Forward, time.Duration(want.Monotonic*float64(seen.After))
	within := clockTolerance + seen.BaseWithin
	if leapt < min(0, since)-within || leapt > max(0, since)+within {
		out = append(out, fmt.Sprintf("its monotonic clock has gained %s beside %s, not %s and up to %s by its rate",
			seen.Gained-seen.Base, seen.Base, want.Forward, since))
	}
	for _, rate := range []struct {
		clock      string
		seen, want float64
	}{{"wall", seen.Drift, want.Drift}, {"monotonic", seen.Monotonic, want.Monotonic}} {
		switch off := math.Abs(rate.seen - rate.want); {
		case off > seen.Within+rateTolerance*math.Abs(rate.want):
			out = append(out, fmt.Sprintf("its %s clock gains %.4f s/s, not %v", rate.clock, rate.seen, rate.want))
		case rate.want != 0 && seen.Within > math.Abs(rate.want)/2:
			out = append(out, fmt.Sprintf("what its %s clock gains was read too slowly to be told", rate.clock))
		}
	}
	if want.Healthy() && seen.Patched && seen.Gained == 0 {
		out = append(out, "something still stands between it and the kernel's clocks")
	}
	return out
}

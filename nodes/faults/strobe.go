package faults

import (
	"fmt"
	"time"
)

// A strobe shows one side of its jump for a period, from the moment on at which it was asked, the
// other side for the next, and so on: a square wave. It is proved by looks at the clock that
// cover two jumps at least: each must show one of the sides, both must have been seen, and all must
// fit one wave of the asked period (over a single jump, twice the period looks the same). A clock
// that stands still on either side fails, and so does one that jumps, but not as often as asked.

const (
	// leastLooks is how many looks must be clear of the jumps.
	leastLooks = 16
	// edgeShare is the share of a period beside a jump in which a look says nothing.
	edgeShare = 32
	// mostSlew is how much the wall clock, on which a strobe is counted, may gain on the monotonic one, on
	// which looks are: adjtimex(2), in s a s.
	mostSlew = 0.0005
)

// strobeMismatches compares looks at a wall clock with the strobe that is asked.
func strobeMismatches(looks []ClockSample, want Clock) []string {
	if len(looks) == 0 {
		return []string{"whether its wall clock jumps was not looked at"}
	}
	ahead := make([]bool, len(looks)) // which side each shows
	for i, l := range looks {
		base := want.Ahead(l.After)
		ahead[i] = (l.Offset - base - want.Strobe).Abs() <= clockTolerance
		if !ahead[i] && (l.Offset-base).Abs() > clockTolerance {
			return []string{fmt.Sprintf("its wall clock is %s ahead, neither %s nor %s", l.Offset, base, base+want.Strobe)}
		}
	}
	step := max(want.Period/(2*edgeShare), 1)
	slack := min(want.Period, clockTolerance+time.Duration(mostSlew*float64(looks[0].After)))
	for shift := -slack / step * step; shift <= slack; shift += step {
		if fits(looks, ahead, want.Period, shift) {
			return nil
		}
	}
	return []string{fmt.Sprintf("its wall clock does not jump every %s from when that was asked", want.Period)}
}

// fits reports whether looks show a square wave whose periods begin so much later than asked.
func fits(looks []ClockSample, ahead []bool, period, shift time.Duration) bool {
	clear := map[bool]int{} // looks by side
	for i, l := range looks {
		at := l.After - shift
		into := (at%period + period) % period
		if edge := period/edgeShare + l.Within; into < edge || into > period-edge {
			continue
		}
		if due := (at-into)/period%2 == 0; ahead[i] != due {
			return false
		}
		clear[ahead[i]]++
	}
	return clear[true] > 0 && clear[false] > 0 && clear[true]+clear[false] >= leastLooks
}

package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Want is what a user wants of a pool. Zero values want nothing.
type Want struct {
	Detection      time.Duration // of 99 % of crashes, everywhere
	Dissemination  time.Duration // of 99 % of the broadcasts that gossip spreads, everywhere
	FalsePositives float64       // live members that are declared dead, in a second, by loss alone, in the whole pool
}

var perUnit = map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "year": 365 * 24 * time.Hour}

// ParseWant reads "detection=5s,false-positives=1/day,dissemination=1s", any of them.
func ParseWant(text string) (Want, error) {
	var w Want
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return Want{}, fmt.Errorf("%q: it must be NAME=VALUE", part)
		}
		var err error
		switch name {
		case "detection":
			w.Detection, err = wantedTime(value)
		case "dissemination":
			w.Dissemination, err = wantedTime(value)
		case "false-positives":
			w.FalsePositives, err = wantedRate(value)
		default:
			err = fmt.Errorf("there are detection, dissemination, false-positives")
		}
		if err != nil {
			return Want{}, fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
	return w, nil
}

func wantedTime(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("it must be a positive duration")
	}
	return d, nil
}

func wantedRate(value string) (float64, error) {
	number, unit, _ := strings.Cut(value, "/")
	count, err := strconv.ParseFloat(number, 64)
	if per, ok := perUnit[unit]; ok && err == nil && count > 0 && count < 1e9 {
		return count / per.Seconds(), nil
	}
	return 0, fmt.Errorf("it must be a positive number a second, minute, hour, day, week or year: 1/day")
}

// Met reports whether a pool's bounds are what is wanted.
func (w Want) Met(b Bounds) bool {
	return (w.Detection == 0 || b.DeadEverywhere.P99 <= w.Detection) &&
		(w.Dissemination == 0 || b.Dissemination.Gossip.P99 <= w.Dissemination) &&
		(w.FalsePositives == 0 || b.Mistakes.DeathsPerSecond <= w.FalsePositives)
}

// Search returns the cheapest timings, at most so many, with which a pool is as wanted: those with the least traffic while nothing changes, one for each amount of it. It goes
// through a grid of the probe's interval (its timeout in proportion, but at least three round trips), both suspicion multipliers and the gossip's interval.
func (p Pool) Search(w Want, most int) (found []Timing) {
	base := p.Timing
	type candidate struct {
		timing Timing
		bytes  float64
	}
	var all []candidate
	for _, interval := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second} {
		for _, mult := range []int{8, 6, 4, 3, 2} {
			for _, most := range []int{6, 3, 1} {
				for _, divisor := range []time.Duration{1, 2, 4} {
					t := base
					t.ProbeInterval, t.ProbeTimeout = interval, max(6*p.Delay, time.Duration(float64(interval)*base.ProbeTimeout.Seconds()/base.ProbeInterval.Seconds()))
					t.SuspicionMult, t.SuspicionMaxTimeoutMult, t.GossipInterval = mult, most, base.GossipInterval/divisor
					if t.Validate() != nil || w.Detection > 0 && t.SuspicionMin(p.Members)+t.ProbeInterval > w.Detection {
						continue
					}
					with := p
					with.Timing = t
					all = append(all, candidate{t, with.traffic().BytesPerSecond})
				}
			}
		}
	}
	// Of those that cost the same, the one that gossips least often, and then the most patient.
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(b.timing.GossipInterval, a.timing.GossipInterval))
	})
	last := 0.0
	for _, c := range all {
		with := p
		with.Timing = c.timing
		if len(found) < most && c.bytes != last && w.Met(with.Bounds()) {
			found, last = append(found, c.timing), c.bytes
		}
	}
	return found
}

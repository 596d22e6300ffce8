package faults

import (
	"fmt"
	"math"
	"time"
)

// Train is how the effect of a Link is probed: so many datagrams, numbered, each
// with the time at which it was sent.
type Train struct {
	Count int           `json:"count"`
	Bytes int           `json:"bytes"`             // of one datagram, without its UDP and IP headers
	Pace  time.Duration `json:"pace_ns,omitempty"` // between two of them; 0 sends them at once
	Wait  time.Duration `json:"wait_ns,omitempty"` // after the last one, for what is on its way
}

// TrainMeasurement is what became of a Train. Pods share one kernel, so the times are of one
// clock and the delay is one-way; a reader that is scheduled late makes it longer, and
// nothing makes it shorter.
type TrainMeasurement struct {
	Sent      int           `json:"sent,omitempty"`
	Arrived   int           `json:"arrived,omitempty"`   // at least once, whole or damaged
	Damaged   int           `json:"damaged,omitempty"`   // with a wrong bit
	Doubled   int           `json:"doubled,omitempty"`   // more than once
	Overtaken int           `json:"overtaken,omitempty"` // after one that was sent later
	Least     time.Duration `json:"least_ns,omitempty"`  // the fastest took that long
	Median    time.Duration `json:"median_ns,omitempty"`
	P90       time.Duration `json:"p90_ns,omitempty"` // nine of ten took no longer
	// Rate is, in bytes a second with headers, what arrived after the first datagram over
	// the time from the first one's sending to the last one's reading.
	Rate float64 `json:"rate,omitempty"`
}

const (
	leastDatagrams = 100
	mostDatagrams  = 2000
	trainBytes     = 64
	trainPace      = 500 * time.Microsecond
	patience       = 100 * time.Millisecond // for a busy machine
	mostBytes      = 1200
	headers        = 28 // IPv4 and UDP

	leastRateDatagrams = 10
	// rateTime is how long a train keeps a link with a rate busy.
	rateTime = 250 * time.Millisecond
)

// Of heldDatagrams a tenth is held back at least, but for a false alarm, if the share is leastHeld.
const leastHeld, heldDatagrams = 0.25, 220

// falseAlarm bounds the probability with which chance alone fails one statistical check.
const falseAlarm = 1e-6

// Train is the train that shows this state.
func (s Link) Train() Train {
	t := Train{Count: min(max(s.datagrams(), leastDatagrams), mostDatagrams), Bytes: trainBytes, Pace: trainPace,
		Wait: min(s.Delay+s.Jitter, 2*mostDelay) + s.HeldBack() + patience}
	if s.Rate > 0 {
		t.Count, t.Bytes = s.rateTrain()
		t.Pace = 0 // a slow one would not meet the limit
		seconds := float64(t.Count*(t.Bytes+headers)) / float64(s.Rate)
		t.Wait += min(time.Duration(seconds*float64(time.Second)), time.Second)
	}
	return t
}

// rateTrain keeps a link with a rate busy for rateTime, but does not fill its queue, as
// far as the number of datagrams that other effects need allows it.
func (s Link) rateTrain() (count, bytes int) {
	total := min(float64(s.Rate)*rateTime.Seconds(), float64(s.QueueBytes())*3/4)
	count = min(max(s.datagrams(), leastRateDatagrams, int(math.Ceil(total/(mostBytes+headers)))), mostDatagrams)
	return count, max(int(total)/count-headers, trainBytes)
}

// datagrams is how many it takes until one that shows no effect at all is a false alarm;
// 0 if the state leaves nothing to chance.
func (s Link) datagrams() int {
	need := 0.0
	survive := (1 - s.Loss) * (1 - s.BurstLoss)
	for _, share := range []float64{s.Loss, survive * s.Reorder, survive * s.Duplicate, survive * s.Corrupt} {
		if share > 0 {
			need = max(need, math.Log(falseAlarm)/math.Log1p(-min(share, mostShare)))
		}
	}
	if s.HoldBack > 0 { // with leastHeld of so many that arrive, more than a tenth is held back
		need = max(need, heldDatagrams/max(survive, 1-mostShare))
	}
	if s.BurstLoss > 0 && s.Loss == 0 {
		// No loss at all means to begin in the good state and to stay there.
		toBad, _ := s.gilbert()
		need = max(need, math.Log(falseAlarm/(1-min(s.BurstLoss, mostShare)))/math.Log1p(-min(toBad, mostShare)))
	}
	return int(math.Ceil(need))
}

// Untouched reports whether a train was sent and met nothing.
func (t TrainMeasurement) Untouched() bool { return t.Shows(Link{}) }

// Shows reports whether a train was sent and met what a link asks for.
func (t TrainMeasurement) Shows(want Link) bool { return t.Sent > 0 && len(t.mismatches(want)) == 0 }

// mismatches lists where a train was not treated as the state asks. Each statistical
// bound fails by chance once in a million trains. What a busy machine may add (late
// readings, a datagram that did not fit into a socket's buffer) is let pass, so delays and
// rates are bounded sharply on the side on which only a missing fault can be. Where nothing is asked, the
// fastest datagram is bounded sharply on the other side: not all of them are read late.
func (t TrainMeasurement) mismatches(want Link) []string {
	var out []string
	wrong := func(is bool, format string, values ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, values...))
		}
	}
	lost := t.Sent - t.Arrived
	survive := (1 - want.Loss) * (1 - want.BurstLoss)
	least, most := want.lossBounds(t.Sent)
	if want.Rate > 0 {
		most = t.Sent // the queue overflows
	}
	slack := max(2, t.Sent/50)
	wrong(lost < least || lost > most+slack, "%d of %d datagrams were lost, not %d to %d", lost, t.Sent, least, most)
	if t.Arrived == 0 {
		return out
	}
	for _, k := range []struct {
		count int
		share float64
		what  string
	}{{t.Doubled, want.Duplicate, "doubled"}, {t.Damaged, want.Corrupt, "damaged"}} {
		least, most := binomialBounds(t.Arrived, k.share)
		wrong(k.count < least || k.count > most+slack, "%d of %d datagrams were %s, not %d to %d", k.count, t.Arrived, k.what, least, most)
	}
	// Datagrams leave in groups, unless a rate draws them apart.
	scrambles := want.Scramble && want.Jitter > 0 && (want.Rate == 0 || want.Jitter >= 2*DefaultHoldBack)
	expectOvertaken := (want.Reorder > 0 || scrambles) && survive*float64(t.Sent) >= leastDatagrams/2
	wrong(expectOvertaken && t.Overtaken == 0, "no datagram was overtaken")
	wrong(want.Reorder == 0 && !(want.Scramble && want.Jitter > 0) && t.Overtaken > slack, "%d datagrams were overtaken", t.Overtaken)

	const early = 2 * time.Millisecond
	longest := want.Delay + want.Jitter + want.HeldBack() + time.Second
	if !want.Shaped() { // of a fault that should be over, the delay is all that shows
		const lag = 3 * time.Millisecond
		longest = DefaultHoldBack + 50*time.Millisecond
		wrong(t.Least > lag, "no datagram took less than %s", t.Least.Round(time.Microsecond))
	}
	wrong(t.Least < want.Delay-early, "a datagram took %s, less than %s", t.Least.Round(time.Microsecond), want.Delay)
	wrong(want.Rate == 0 && t.Median > longest, "datagrams took %s, more than %s", t.Median.Round(time.Microsecond), longest)
	wrong(t.Arrived >= 30 && t.P90 < want.Delay+want.Jitter/2-min(early, want.Jitter/4), "nine of ten datagrams took %s at most, which shows no jitter of %s",
		t.P90.Round(time.Microsecond), want.Jitter)
	wrong(want.HoldBack > 0 && t.P90 < want.Delay+want.HoldBack-early, "nine of ten datagrams took %s at most, so none was held back by %s",
		t.P90.Round(time.Microsecond), want.HoldBack)
	wrong(want.Rate > 0 && t.Rate > float64(want.Rate)*1.05, "datagrams passed at %.0f B/s, not %d", t.Rate, want.Rate)
	return out
}

// lossBounds are how many of n datagrams are lost, but for a false alarm on either side.
// In bursts losses are not independent: the number of datagrams is then reduced to as
// many independent ones as vary as much, n (1-c)/(1+c) for a chain of two states whose
// neighbours have the correlation c.
func (s Link) lossBounds(n int) (least, most int) {
	share := either(s.Loss, s.BurstLoss)
	if s.BurstLoss == 0 {
		return binomialBounds(n, share)
	}
	toBad, toGood := s.gilbert()
	c := max(0, 1-toBad-toGood)
	independent := max(1, int(float64(n)*(1-c)/(1+c)))
	low, high := binomialBounds(independent, share)
	scale := float64(n) / float64(independent)
	least, most = int(float64(low)*scale), int(math.Ceil(float64(high)*scale))
	if least == 0 && n >= s.datagrams() {
		least = 1
	}
	return least, min(most, n)
}

// binomialBounds are the numbers below and above which a binomial variable lies with
// probability falseAlarm at most, each.
func binomialBounds(n int, p float64) (least, most int) {
	switch {
	case p <= 0:
		return 0, 0
	case p >= 1:
		return n, n
	}
	at := func(k int) float64 { // the logarithm of the probability of exactly k
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
	}
	for tail := 0.0; least < n; least++ {
		if tail += math.Exp(at(least)); tail > falseAlarm {
			break
		}
	}
	most = n
	for tail := 0.0; most > 0; most-- {
		if tail += math.Exp(at(most)); tail > falseAlarm {
			break
		}
	}
	return least, most
}

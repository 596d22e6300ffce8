package faults

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Link is what happens to the packets of a link, at the receiver. The zero value is
// health. A packet may meet everything at once, in the order of the fields: what is not
// lost waits for its turn under the rate, is delayed, and then may be refused.
type Link struct {
	Drop   bool `json:"drop,omitempty" yaml:"-"`   // all packets vanish
	Reject bool `json:"reject,omitempty" yaml:"-"` // all are refused: TCP gets a reset, UDP an ICMP port unreachable; Drop wins

	// Ports are destination ports: what is sent to them by TCP or UDP vanishes. Packets to others pass, answers of them too.
	Ports Ports `json:"ports,omitempty" yaml:"ports,omitempty" want:"a list of port numbers such as [8302]"`

	// Loss is the probability that a packet vanishes, whatever became of the others.
	Loss float64 `json:"loss,omitempty" yaml:"loss,omitempty" want:"a share of packets such as 0.2"`
	// BurstLoss is the share of packets that vanish in bursts of Burst packets on average:
	// the model of Gilbert (Capacity of a Burst-Noise Channel, 1960), which with Loss beside
	// it, in the good state, is that of Elliott (1963).
	BurstLoss float64 `json:"burst_loss,omitempty" yaml:"burst-loss,omitempty" want:"a share of packets such as 0.2"`
	Burst     float64 `json:"burst,omitempty" yaml:"burst,omitempty" want:"a number of packets such as 5"`

	Delay  time.Duration `json:"delay_ns,omitempty" yaml:"delay,omitempty"`   // that every packet takes longer
	Jitter time.Duration `json:"jitter_ns,omitempty" yaml:"jitter,omitempty"` // and up to so much on top, evenly drawn
	// Scramble lets a packet that drew less jitter overtake one that drew more. Without it
	// order is kept, as on one path with queues of varying length, and packets that follow
	// each other closely all wait about as long as the slowest.
	Scramble bool `json:"scramble,omitempty" yaml:"scramble,omitempty"`

	// Reorder is the probability that a packet is held back while others pass, by HoldBack.
	Reorder  float64       `json:"reorder,omitempty" yaml:"reorder,omitempty" want:"a share of packets such as 0.2"`
	HoldBack time.Duration `json:"hold_back_ns,omitempty" yaml:"hold-back,omitempty"` // 0 is DefaultHoldBack
	// Duplicate is the probability that a packet arrives twice.
	Duplicate float64 `json:"duplicate,omitempty" yaml:"duplicate,omitempty" want:"a share of packets such as 0.2"`
	// Corrupt is the probability that one bit is flipped. The checksum of TCP stays as it
	// was, so the kernel drops the packet, as it does on a real network: no node ever reads
	// a wrong byte from a stream. A datagram of UDP has its checksum taken off (RFC 768
	// allows to send none), so the node reads it with the wrong bit.
	Corrupt float64 `json:"corrupt,omitempty" yaml:"corrupt,omitempty" want:"a share of packets such as 0.2"`

	Rate  int64 `json:"rate,omitempty" yaml:"rate,omitempty" want:"a whole number of bytes a second"` // bytes a second, with IP headers; 0 is no limit
	Queue int64 `json:"queue,omitempty" yaml:"queue,omitempty" want:"a whole number of bytes"`        // bytes that may wait for their turn under Rate; 0 is DefaultQueue

	// Seed is where the random numbers of the link begin. It asks for nothing by itself.
	Seed uint64 `json:"seed,omitempty" yaml:"-"`
}

const (
	// DefaultQueue is the Queue of a link with a Rate that names none.
	DefaultQueue = 64 << 10
	// DefaultHoldBack is the HoldBack of a link with Reorder that names none.
	DefaultHoldBack = 10 * time.Millisecond
)

// The ranges within which the effect of a state can be measured in about a second.
const (
	leastShare, mostShare = 0.01, 0.95
	mostBurst             = 20
	mostDelay             = 2 * time.Second
	leastDelay            = 4 * time.Millisecond
	leastRate, mostRate   = 8_000, 10_000_000
	leastQueue, mostQueue = 2_000, 10_000_000
)

// Merge is the state of a link to which two things happen that do not know of each other,
// as if they came one after the other: shares of packets combine as 1-(1-a)(1-b), times
// add, of two rates the slower one counts, of two bursts the longer. The order does not
// matter (but for the last bits of a float), and health changes nothing.
func (s Link) Merge(o Link) Link {
	return Link{
		Drop:      s.Drop || o.Drop,
		Reject:    s.Reject || o.Reject,
		Ports:     s.Ports.Join(o.Ports),
		Loss:      either(s.Loss, o.Loss),
		BurstLoss: either(s.BurstLoss, o.BurstLoss),
		Burst:     max(s.Burst, o.Burst),
		Rate:      leastSet(s.Rate, o.Rate),
		Queue:     leastSet(s.Queue, o.Queue),
		Delay:     s.Delay + o.Delay,
		Jitter:    s.Jitter + o.Jitter,
		Scramble:  s.Scramble || o.Scramble,
		Reorder:   either(s.Reorder, o.Reorder),
		HoldBack:  max(s.HoldBack, o.HoldBack),
		Duplicate: either(s.Duplicate, o.Duplicate),
		Corrupt:   either(s.Corrupt, o.Corrupt),
		Seed:      s.Seed + o.Seed,
	}
}

// either is the probability of one or the other or both, and exactly a if b is 0.
func either(a, b float64) float64 { return min(1, a+b-a*b) }

func leastSet(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Healthy reports whether the state does nothing to packets.
func (s Link) Healthy() bool { return !s.Drop && !s.Reject && s.Ports == "" && !s.Shaped() }

// Shaped reports whether packets that are not all dropped meet more than a rejection.
func (s Link) Shaped() bool {
	return !s.Drop && (s.Loss > 0 || s.BurstLoss > 0 || s.Rate > 0 || s.Delay > 0 || s.Jitter > 0 ||
		s.Reorder > 0 || s.Duplicate > 0 || s.Corrupt > 0)
}

// String tells what is asked for: "rejected, loss 0.2, delay 40ms", or "healthy".
func (s Link) String() string {
	if s.Drop {
		return "dropped"
	}
	var words []string
	if s.Reject {
		words = append(words, "rejected")
	}
	say := func(asked bool, format string, values ...any) {
		if asked {
			words = append(words, fmt.Sprintf(format, values...))
		}
	}
	say(s.Ports != "", "ports %s closed", strings.ReplaceAll(string(s.Ports), ",", " "))
	say(s.Loss > 0, "loss %s", short(s.Loss))
	say(s.BurstLoss > 0, "burst-loss %s in bursts of %s", short(s.BurstLoss), short(max(s.Burst, 1)))
	say(s.Rate > 0, "rate %d B/s with a queue of %d B", s.Rate, s.QueueBytes())
	say(s.Delay > 0, "delay %s", s.Delay)
	say(s.Jitter > 0, "jitter %s", s.Jitter)
	say(s.Jitter > 0 && s.Scramble, "scrambled")
	say(s.Reorder > 0, "reorder %s", short(s.Reorder))
	say(s.Reorder > 0 && s.HoldBack > 0, "by %s", s.HoldBack)
	say(s.Duplicate > 0, "duplicate %s", short(s.Duplicate))
	say(s.Corrupt > 0, "corrupt %s", short(s.Corrupt))
	if len(words) == 0 {
		return "healthy"
	}
	return strings.Join(words, ", ")
}

// short leaves out the last bits, which depend on the order of a Merge.
func short(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// HeldBack is HoldBack, or DefaultHoldBack.
func (s Link) HeldBack() time.Duration { return cmp.Or(s.HoldBack, DefaultHoldBack) }

// QueueBytes is Queue, or DefaultQueue.
func (s Link) QueueBytes() int64 {
	if s.Queue == 0 {
		return DefaultQueue
	}
	return s.Queue
}

func (s Link) needs(need map[Capability]bool) {
	if s.Drop {
		need[LinkDrop] = true
		return
	}
	for c, asked := range map[Capability]bool{
		LinkReject:    s.Reject,
		LinkPorts:     s.Ports != "",
		LinkLoss:      s.Loss > 0 || s.BurstLoss > 0,
		LinkRate:      s.Rate > 0,
		LinkDelay:     s.Delay > 0 || s.Jitter > 0,
		LinkReorder:   s.Reorder > 0,
		LinkDuplicate: s.Duplicate > 0,
		LinkCorrupt:   s.Corrupt > 0,
	} {
		need[c] = need[c] || asked
	}
}

// Check refuses, by name and range, a state whose effect could not be told from health by
// a probe of about a second. The sum of states that pass it is carried out in any case.
func (s Link) Check() error {
	for _, p := range []struct {
		name  string
		share float64
	}{{"loss", s.Loss}, {"burst-loss", s.BurstLoss}, {"reorder", s.Reorder}, {"duplicate", s.Duplicate}, {"corrupt", s.Corrupt}} {
		if p.share != 0 && !(p.share >= leastShare && p.share <= mostShare) {
			return fmt.Errorf("%s is %v: want a share of packets from %v to %v", p.name, p.share, leastShare, mostShare)
		}
	}
	for _, d := range []struct {
		name string
		time time.Duration
	}{{"delay", s.Delay}, {"jitter", s.Jitter}} {
		if d.time != 0 && (d.time < leastDelay || d.time > mostDelay) {
			return fmt.Errorf("%s is %s: want %s to %s", d.name, d.time, leastDelay, mostDelay)
		}
	}
	switch {
	case s.Rate != 0 && (s.Rate < leastRate || s.Rate > mostRate):
		return fmt.Errorf("rate is %d: want %d to %d bytes a second", s.Rate, leastRate, mostRate)
	case s.Queue != 0 && (s.Queue < leastQueue || s.Queue > mostQueue):
		return fmt.Errorf("queue is %d: want %d to %d bytes", s.Queue, leastQueue, mostQueue)
	case s.Burst != 0 && !(s.Burst >= 1 && s.Burst <= mostBurst):
		return fmt.Errorf("burst is %v: want a mean of 1 to %d packets", s.Burst, mostBurst)
	case s.Queue != 0 && s.Rate == 0:
		return fmt.Errorf("queue is what waits under a rate, and rate is missing")
	case (s.Burst != 0) != (s.BurstLoss != 0):
		return fmt.Errorf("burst-loss (a share) and burst (a length) need each other")
	case s.HoldBack != 0 && (s.HoldBack < 2*DefaultHoldBack || s.HoldBack > mostDelay):
		return fmt.Errorf("hold-back is %s: want %s to %s", s.HoldBack, 2*DefaultHoldBack, mostDelay)
	case s.HoldBack != 0 && s.Reorder < leastHeld:
		return fmt.Errorf("hold-back shows only if reorder is %v or more", leastHeld)
	case s.Scramble && s.Jitter == 0:
		return fmt.Errorf("scramble is about jitter, which is missing")
	}
	if err := s.Ports.Check(); err != nil {
		return err
	}
	if need := s.datagrams(); need > mostDatagrams {
		return fmt.Errorf("%s could not be told from health by %d probes: it takes %d; ask for more loss or shorter bursts",
			s, mostDatagrams, need)
	}
	return nil
}

// What a pod carries out at most, whatever sum of faults asked for it.
const (
	mostWait   = time.Minute
	mostCarry  = 1 << 40 // bytes, and bytes a second
	mostBursts = 1e9     // packets
)

// CheckBounds refuses what no pod can carry out, whatever sum of faults asked for it.
func (s Link) CheckBounds() error {
	for name, share := range map[string]float64{"loss": s.Loss, "burst-loss": s.BurstLoss, "reorder": s.Reorder,
		"duplicate": s.Duplicate, "corrupt": s.Corrupt} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%s of %v: want a share from 0 to 1", name, share)
		}
	}
	for name, wait := range map[string]time.Duration{"delay": s.Delay, "jitter": s.Jitter, "hold-back": s.HoldBack} {
		if wait < 0 || wait > mostWait {
			return fmt.Errorf("%s of %v: want 0 to %v", name, wait, mostWait)
		}
	}
	if s.Rate < 0 || s.Rate > mostCarry || s.Queue < 0 || s.Queue > mostCarry {
		return fmt.Errorf("a rate of %d with a queue of %d: want 0 to %d", s.Rate, s.Queue, mostCarry)
	}
	if !(s.Burst >= 0 && s.Burst <= mostBursts) {
		return fmt.Errorf("a burst of %v: want 0 to %v", s.Burst, mostBursts)
	}
	return s.Ports.Check()
}

// Gilbert gives the chances, from packet to packet, to leave the good and the bad state of
// Gilbert's model (Capacity of a Burst-Noise Channel, Bell System Technical Journal 39,
// 1960), given the share of time in the bad one and how many packets it lasts on average.
// In it all packets are lost. Loss beside it makes the good state lose some, as in Elliott
// (Estimates of Error Rates for Codes on Burst-Noise Channels, the same, 42, 1963). From
//
//	share = toBad / (toBad + toGood)   and   burst = 1 / toGood
//
// follows the rest; toBad is 1 at most, so bursts last at least share / (1 - share).
func Gilbert(share, burst float64) (toBad, toGood float64) {
	switch {
	case share <= 0:
		return 0, 1
	case share >= 1:
		return 1, 0
	}
	toGood = math.Min(1/math.Max(burst, 1), (1-share)/share)
	return toGood * share / (1 - share), toGood
}

func (s Link) gilbert() (toBad, toGood float64) { return Gilbert(s.BurstLoss, s.Burst) }

package injector

import (
	"math/rand/v2"
	"time"

	"faultline/nodes/faults"
)

// shaper decides what becomes of the packets of one link, one after the other. It knows no
// kernel and no clock: the fate of the n-th packet follows from the link, n, and, where
// there is a rate or an order to keep, the times of the packets before it.
type shaper struct {
	faults.Link
	rng           *rand.Rand
	toBad, toGood float64 // chances to change the state of the burst model
	bad           bool
	free          time.Duration // when the line under the rate has sent all before
	last          time.Duration // when the last packet that keeps order is let through
}

// fate is what becomes of one packet.
type fate struct {
	lost    bool
	at      time.Duration // when it is let through
	doubled bool
	flip    uint64 // if not 0, the bit to flip is this modulo their number
}

// shaperStream sets this use of a seed apart from others.
const shaperStream = 0x6c696e6b

func newShaper(s faults.Link) *shaper {
	h := &shaper{Link: s, rng: rand.New(rand.NewPCG(s.Seed, shaperStream))}
	h.toBad, h.toGood = faults.Gilbert(s.BurstLoss, s.Burst)
	h.bad = h.rng.Float64() < s.BurstLoss // as if it had been so forever
	return h
}

// fate decides about a packet of so many bytes, with its IP header, that arrives now. It
// takes as many random numbers for every packet, whatever becomes of it.
func (h *shaper) fate(now time.Duration, bytes int) fate {
	chain, loss, jitter := h.rng.Float64(), h.rng.Float64(), h.rng.Float64()
	reorder, duplicate, corrupt, bit := h.rng.Float64(), h.rng.Float64(), h.rng.Float64(), h.rng.Uint64()

	lost := h.bad || loss < h.Loss
	if h.bad {
		h.bad = chain >= h.toGood
	} else {
		h.bad = chain < h.toBad
	}
	if lost {
		return fate{lost: true}
	}
	sent, fits := h.queue(now, bytes)
	if !fits {
		return fate{lost: true}
	}
	f := fate{at: sent + h.Delay + time.Duration(jitter*float64(h.Jitter)), doubled: duplicate < h.Duplicate}
	if !h.Scramble {
		f.at = max(f.at, h.last)
		h.last = f.at
	}
	if reorder < h.Reorder {
		f.at += h.HeldBack()
	}
	if corrupt < h.Corrupt {
		f.flip = bit | 1<<63
	}
	return f
}

// queue is when the line has sent a packet that arrives now, and whether it may wait for
// that. A line that is idle takes a packet of any size.
func (h *shaper) queue(now time.Duration, bytes int) (sent time.Duration, fits bool) {
	if h.Rate == 0 {
		return now, true
	}
	second := float64(time.Second)
	waiting := float64(h.free-now) / second * float64(h.Rate)
	if waiting > 0 && waiting+float64(bytes) > float64(h.QueueBytes()) {
		return 0, false
	}
	h.free = max(h.free, now) + time.Duration(float64(bytes)/float64(h.Rate)*second)
	return h.free, true
}

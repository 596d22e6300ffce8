package clock

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// Of one clock that shows true, the payload shows, all in ns:
//
//	elapsed = true - anchor
//	true + offset + floor(elapsed × (elapsed < 0 ? before : rate) / 2^48)
//	     + (period > 0 and elapsed >= 0 and elapsed / period is even ? strobe : 0)
//
// Anchors and offsets are of the clock, the other four of its family. A bank holds them,
// little-endian, 64 bits each:
//
//	 0  before, rate, strobe, period   of the wall clocks
//	32  before, rate, strobe, period   of the monotonic clocks
//	64  anchor, offset                 of each clock, in the order of these:
const (
	realtime = iota
	tai
	monotonic
	raw
	boottime
	clocks
)

const bankSize = 64 + clocks*16

type paramBank struct {
	wall, mono family
	rows       [clocks]row
}

// family is how a clock runs. The monotonic family has no period, so its strobe is never
// shown: it keeps the Setting.Forward that was last asked for.
type family struct{ before, rate, strobe, period int64 }

type row struct{ anchor, offset int64 }

// instant is what the true clocks show at about the same time, in ns.
type instant [clocks]int64

const fraction = 48 // bits of a rate

func fixed(rate float64) int64 { return int64(math.RoundToEven(math.Ldexp(rate, fraction))) }

// gain is floor(elapsed × rate / 2^48); it must fit into 64 bits.
func gain(elapsed, rate int64) int64 {
	hi, lo := bits.Mul64(uint64(elapsed), uint64(rate))
	if elapsed < 0 {
		hi -= uint64(rate)
	}
	if rate < 0 {
		hi -= uint64(elapsed)
	}
	return int64(hi<<(64-fraction) | lo>>fraction)
}

// ahead is what the payload adds to a clock that truly shows now.
func (b paramBank) ahead(clock int, now int64) int64 {
	f, r := b.wall, b.rows[clock]
	if clock >= monotonic {
		f = b.mono
	}
	elapsed, rate := now-r.anchor, f.rate
	if elapsed < 0 {
		rate = f.before
	}
	sum := r.offset + gain(elapsed, rate)
	if f.period > 0 && elapsed >= 0 && elapsed/f.period%2 == 0 {
		sum += f.strobe
	}
	return sum
}

// next is the bank that carries out a setting from now on, after b. The monotonic clocks go
// on from where b has them. The first of them to be read under next is read after now, or,
// if it is a COARSE one, may be from shortly before; then it goes on as under b, which is what
// before is for.
func (b paramBank) next(s Setting, now instant) paramBank {
	n := paramBank{mono: b.mono, rows: b.rows}
	n.wall = family{rate: fixed(s.Drift), strobe: int64(s.Strobe), period: int64(s.Period)}
	for c := realtime; c <= tai; c++ {
		n.rows[c] = row{anchor: int64(s.Since) + now[c] - now[monotonic], offset: int64(s.Offset)}
	}
	if rate := fixed(s.Monotonic); rate != b.mono.rate {
		n.mono.before, n.mono.rate = b.mono.rate, rate
		for c := monotonic; c < clocks; c++ {
			n.rows[c] = row{anchor: now[c], offset: b.ahead(c, now[c])}
			if b.mono.rate != 0 {
				n.rows[c].offset++ // two floors may be 1 less than the floor of the sum
			}
		}
	}
	n.mono.strobe = int64(s.Forward)
	if more := n.mono.strobe - b.mono.strobe; more > 0 {
		for c := monotonic; c < clocks; c++ {
			n.rows[c].offset += more
		}
	}
	return n
}

// settles is how long the monotonic clocks must have run at one rate before the next: no
// COARSE clock lags as much, so none is ever read from before two changes.
const settles = 50 * time.Millisecond

// unsettled is how long it is until n may follow b at now.
func (b paramBank) unsettled(n paramBank, now instant) time.Duration {
	if n.mono.rate == b.mono.rate {
		return 0
	}
	return max(0, settles-time.Duration(now[monotonic]-b.rows[monotonic].anchor))
}

// gained reports whether the monotonic clocks are not the true ones.
func (b paramBank) gained() bool {
	return b.mono.rate != 0 || b.rows[monotonic].offset != 0 || b.rows[raw].offset != 0 || b.rows[boottime].offset != 0
}

func (b paramBank) encode() []byte {
	out := make([]byte, 0, bankSize)
	put := func(values ...int64) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint64(out, uint64(v))
		}
	}
	for _, f := range []family{b.wall, b.mono} {
		put(f.before, f.rate, f.strobe, f.period)
	}
	for _, r := range b.rows {
		put(r.anchor, r.offset)
	}
	return out
}

// decode reads what encode wrote; in has bankSize bytes.
func decode(in []byte) (b paramBank) {
	take := func() int64 {
		v := binary.LittleEndian.Uint64(in)
		in = in[8:]
		return int64(v)
	}
	for _, f := range []*family{&b.wall, &b.mono} {
		*f = family{take(), take(), take(), take()}
	}
	for i := range b.rows {
		b.rows[i] = row{take(), take()}
	}
	return b
}

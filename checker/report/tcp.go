package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// firstTimeout is what TCP waits for an acknowledgement beyond the round trip before it sends a segment again, for the
// first time: the least that Linux takes for the variance of the round trip (TCP_RTO_MIN).
const firstTimeout = 200 * time.Millisecond

// TCPAlone is what a small request and its answer take on an established connection that was idle, a segment each way, if
// every packet is lost with the same chance, whatever became of the others: RTT, and for each loss of a segment the time until it is
// sent again, which is RTT + 0.2 s at first and doubles. Success is the share that takes no
// longer than within, and the quantiles are of those. Linux may be
// faster, for it probes for a lost tail (RFC 8985), and is slower if acknowledgements
// are lost; so this is where to look from, and the echo is what to compare with.
func TCPAlone(rtt time.Duration, loss float64, within time.Duration) Served {
	type way struct{ took, chance float64 }
	const most = 30 // times that one segment is lost; what is beyond is less than one in 10^9 at a loss of one half
	first := (rtt + firstTimeout).Seconds()
	var ways []way
	for request := range most {
		for answer := range most {
			ways = append(ways, way{rtt.Seconds() + first*(math.Exp2(float64(request))-1+math.Exp2(float64(answer))-1),
				math.Pow(loss, float64(request+answer)) * (1 - loss) * (1 - loss)})
		}
	}
	slices.SortFunc(ways, func(a, b way) int { return cmp.Compare(a.took, b.took) })
	var v Served
	for _, w := range ways {
		if w.took <= within.Seconds() {
			v.Success = min(1, v.Success+w.chance)
		}
	}
	sum := 0.0
	for _, w := range ways {
		before := sum
		sum += w.chance
		for _, q := range []struct {
			share float64
			at    *float64
		}{{0.5, &v.P50Seconds}, {0.99, &v.P99Seconds}} {
			if before < q.share*v.Success && sum >= q.share*v.Success {
				*q.at = w.took
			}
		}
	}
	v.Low, v.High = v.Success, v.Success
	return v
}

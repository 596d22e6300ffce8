package gossip

import "time"

// What loss does to a small exchange over TCP, as Linux does it: a SYN is sent again after 1 s, then 2 s, 4 s …;
// a segment after the round trip and 200 ms, doubling. An exchange is a handshake, a request and an answer.
const (
	synRetry     = time.Second
	leastTimeout = 200 * time.Millisecond
	tcpTries     = 7
)

// ExchangeTime draws how long an exchange over a new connection takes, dial to answer. The draws are in [0, 1). One that
// takes a minute has failed: it is Never.
func ExchangeTime(draw func() float64, loss float64, delay time.Duration) time.Duration {
	both := loss * (2 - loss)
	total := backoff(draw, both, synRetry) + 4*delay
	first := leastTimeout + 2*delay
	total += backoff(draw, loss, first)
	total += backoff(draw, loss, first)
	if total >= time.Minute {
		return Never
	}
	return total
}

// backoff draws how late the first try is that succeeds.
func backoff(draw func() float64, loss float64, first time.Duration) time.Duration {
	if loss == 0 {
		return 0
	}
	late, wait := time.Duration(0), first
	for range tcpTries {
		if draw() >= loss {
			return late
		}
		late += wait
		wait *= 2
	}
	return time.Minute
}

// exchangeWithin is the probability that an exchange takes no longer than that.
func exchangeWithin(limit time.Duration, loss float64, delay time.Duration) float64 {
	limit -= 4 * delay
	both, first := loss*(2-loss), leastTimeout+2*delay
	sum := 0.0
	tries(both, synRetry, limit, func(handshake float64, left time.Duration) {
		tries(loss, first, left, func(request float64, left time.Duration) {
			tries(loss, first, left, func(answer float64, _ time.Duration) {
				sum += handshake * request * answer
			})
		})
	})
	return sum
}

// tries calls for each try that is early enough, with its probability and the time that it leaves.
func tries(loss float64, first, limit time.Duration, each func(probability float64, left time.Duration)) {
	probability, late, wait := 1-loss, time.Duration(0), first
	for range tcpTries {
		if late > limit {
			return
		}
		each(probability, limit-late)
		probability *= loss
		late += wait
		wait *= 2
	}
}

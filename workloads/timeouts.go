package workloads

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// timeouts draws how long a client waits for an operation: log-uniform between least and most, so
// that each power of ten of it is as likely as the next. Where all wait as long, no request is ever
// given up while its node is well, and what a system does with an answer that nobody waits for any
// more is never seen.
type timeouts struct {
	least, most time.Duration

	mu     sync.Mutex
	random *rand.Rand
}

func newTimeouts(c Config) *timeouts {
	t := &timeouts{least: c.LeastTimeout, most: c.Timeout, random: rand.New(rand.NewPCG(c.Seed, timeoutStream))}
	if t.least == 0 {
		t.least = t.most
	}
	return t
}

// timeoutStream keeps these draws apart from those of the generators.
const timeoutStream = 3

func (t *timeouts) next() time.Duration {
	if t.least == t.most {
		return t.most
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	span := float64(t.most) / float64(t.least)
	return min(t.most, time.Duration(float64(t.least)*math.Pow(span, t.random.Float64())))
}

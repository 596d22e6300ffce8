package workloads

import (
	"context"
	"sync"
	"time"
)

// catchUp is how late a slot of the schedule may still be taken. Operations do not wait
// for each other's answers, so a slow answer does not thin out the load; but slots that
// nobody was free to take for longer than this are lost, or the end of an outage would
// see all of its operations at once.
const catchUp = 100 * time.Millisecond

// pacer hands out the slots of a schedule, one every interval, to many goroutines. A nil
// pacer has a slot at all times.
type pacer struct {
	interval time.Duration
	mu       sync.Mutex
	next     time.Time
}

func newPacer(rate float64) *pacer {
	if rate == 0 {
		return nil
	}
	return &pacer{interval: time.Duration(float64(time.Second) / rate)}
}

// wait returns true when the caller's slot has come, and false if ctx ended before.
func (p *pacer) wait(ctx context.Context) bool {
	if p == nil {
		return ctx.Err() == nil
	}
	now := time.Now()
	p.mu.Lock()
	switch {
	case p.next.IsZero():
		p.next = now
	case now.Sub(p.next) > catchUp:
		p.next = now.Add(-catchUp)
	}
	slot := p.next
	p.next = slot.Add(p.interval)
	p.mu.Unlock()
	return sleep(ctx, slot.Sub(now))
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// A client that got an error waits before it goes on, so that a dead node, which refuses
// in no time, is not hammered.
const (
	backoffFirst = 10 * time.Millisecond
	backoffMost  = 100 * time.Millisecond
)

// backoff is the wait of one client: it doubles with every error in a row.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(backoffFirst, 2*b.last), backoffMost)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

package workloads

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// catchUp is how late a slot of the schedule may still be taken. Operations do not wait
// for each other's answers, so a slow answer does not thin out the load; but slots that
// nobody was free to take for longer than this are lost, or the end of an outage would
// see all of its operations at once.
const catchUp = 100 * time.Millisecond

// pacer hands out the slots of a schedule, one every interval, to many goroutines. The
// first is there at once. A nil pacer has a slot at all times.
type pacer struct {
	start   sync.Once // empties the bucket, which a limiter begins with full
	limiter *rate.Limiter
}

// newPacer returns a pacer of so many slots per second, nil for 0.
func newPacer(perSecond float64) *pacer {
	if perSecond == 0 {
		return nil
	}
	// At least one is kept: at under 20 a second a slot that nobody was free for comes later,
	// and so do all after it.
	kept := max(1, int(perSecond*catchUp.Seconds()))
	return &pacer{limiter: rate.NewLimiter(rate.Limit(perSecond), kept)}
}

// wait returns true when the caller's slot has come, and false once ctx has ended before.
func (p *pacer) wait(ctx context.Context) bool {
	if p == nil {
		return ctx.Err() == nil
	}
	p.start.Do(func() { p.limiter.AllowN(time.Now(), p.limiter.Burst()-1) })
	if err := p.limiter.Wait(ctx); err != nil {
		<-ctx.Done() // Wait also errs ahead of a deadline that comes before the slot
		return false
	}
	return ctx.Err() == nil
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

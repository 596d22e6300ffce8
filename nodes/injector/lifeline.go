package injector

import (
	"errors"
	"sync"
	"time"
)

// errAbandoned ends a pod that nobody commands any more.
var errAbandoned = errors.New("the harness is gone: no control stream is open")

// A pod whose harness has died must not live on with its faults in force. It is given up when no
// control stream has come this long after its start, or stands this long after the last one broke;
// a harness that lives opens a new one at once.
const (
	firstStreamLimit = 2 * time.Minute
	nextStreamLimit  = 10 * time.Second
)

// lifeline knows how many control streams are open, and when there has been none for too long.
type lifeline struct {
	patience time.Duration // after the last one
	snapped  chan struct{} // closed when there has been none for too long

	mu       sync.Mutex
	open     int
	deadline time.Time // while none is open
	timer    *time.Timer
}

// newLifeline is one whose first stream has to be there within first.
func newLifeline(first, patience time.Duration) *lifeline {
	l := &lifeline{patience: patience, snapped: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.await(first)
	return l
}

// await sets the deadline. The lock must be held.
func (l *lifeline) await(limit time.Duration) {
	l.deadline = time.Now().Add(limit)
	l.timer = time.AfterFunc(limit, l.expire)
}

func (l *lifeline) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open > 0 || time.Now().Before(l.deadline) { // one came while the timer ran out
		return
	}
	close(l.snapped)
}

// hold is called when a stream opens.
func (l *lifeline) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	l.timer.Stop()
}

// letGo is called when a stream has ended.
func (l *lifeline) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.open == 0 {
		l.await(l.patience)
	}
}

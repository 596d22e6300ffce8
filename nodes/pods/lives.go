package pods

import (
	"context"
	"errors"
	"sync"
	"time"

	"faultline/workloads/history"
)

// Lives is the record of every start and every end of the nodes' processes of a cluster, and of
// whether the cluster is lost. A runtime writes into it what it learns, whether anybody watches
// or not; Watch is the one of a nodes.Cluster:
//
//	lives := pods.NewLives()
//	lives.Add(history.ProcessEvent{Node: "dc1-s1", Kind: history.ProcessStarted, PID: pid, At: at})
//	lives.Lose(errors.New("the pod of dc1-s1 has ended (exit code 137): not by Faultline"))
//
// Its methods may be called by many goroutines. It keeps all events: a run has thousands at most.
type Lives struct {
	mu      sync.Mutex
	events  []history.ProcessEvent
	lost    error
	closed  bool
	watched bool
	changed chan struct{} // closed at the next change
}

// NewLives is a record without events.
func NewLives() *Lives { return &Lives{changed: make(chan struct{})} }

// Add records an event. Those of one node must come in their order.
func (l *Lives) Add(e history.ProcessEvent) {
	l.change(func() { l.events = append(l.events, e) })
}

// Lose records that the cluster is lost, and why. The first reason counts.
func (l *Lives) Lose(why error) {
	l.change(func() {
		if l.lost == nil {
			l.lost = why
		}
	})
}

// Close ends the record: the cluster is taken down, and what ends from now on is meant to.
func (l *Lives) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *Lives) change(edit func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	edit()
	close(l.changed)
	l.changed = make(chan struct{})
}

var errWatched = errors.New("somebody watches this cluster already")

// Watch reports all events from the first on, as nodes.Cluster has it: also those that were
// recorded before ctx ended, or before the cluster was lost.
func (l *Lives) Watch(ctx context.Context, report func(history.ProcessEvent)) error {
	if !l.setWatched() {
		return errWatched
	}
	defer l.unsetWatched()
	for seen := 0; ; {
		over := ctx.Err() != nil
		events, changed, lost := l.after(seen)
		for _, e := range events {
			report(e)
		}
		seen += len(events)
		switch {
		case lost != nil:
			return lost
		case over:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// after is what came after so many events, what is closed at the next change, and why the
// cluster is lost, if it is.
func (l *Lives) after(seen int) (events []history.ProcessEvent, changed <-chan struct{}, lost error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[seen:len(l.events):len(l.events)], l.changed, l.lost
}

func (l *Lives) setWatched() (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = !l.watched
	l.watched = true
	return first
}

func (l *Lives) unsetWatched() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched = false
}

// Moment maps what the machine's wall clock said to the clock of this process, whose monotonic
// reading a history goes by. It is kept between two moments of this process that it must be
// between: wall clocks are set, and that of an engine's machine may be another. The zero time is
// untold: then it is the latest.
func Moment(wall, earliest, latest time.Time) time.Time {
	if wall.IsZero() {
		return latest
	}
	at := latest.Add(wall.Round(0).Sub(latest)) // of two readings one of which is not monotonic: by the wall clock
	switch {
	case at.Before(earliest):
		return earliest
	case at.After(latest):
		return latest
	}
	return at
}

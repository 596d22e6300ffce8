package history

import (
	"slices"
	"sync"
	"time"
)

// Sink takes the events of a run in. Many goroutines may use it. A [Log] is one on disk.
type Sink interface {
	// Add gives the event its index and time and keeps it, and returns the time in
	// nanoseconds. Once an event could not be kept, Add returns that error forever.
	Add(Event) (int64, error)
	// Now is the time on the history's clock, in nanoseconds since its start.
	Now() int64
	// At is a moment of this process on that clock; 0 if it was before the start.
	At(time.Time) int64
}

// Memory is a Sink that keeps events in memory. Time 0 is when it was made by [NewMemory].
type Memory struct {
	mu     sync.Mutex
	start  time.Time
	events []Event
}

// NewMemory starts a history. Time 0 is now.
func NewMemory() *Memory { return &Memory{start: time.Now()} }

// Add keeps the event. It refuses one that could not be read back.
func (m *Memory) Add(e Event) (int64, error) {
	if err := e.check(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Index, e.Time = int64(len(m.events)), m.Now()
	m.events = append(m.events, e)
	return e.Time, nil
}

func (m *Memory) Now() int64 { return int64(time.Since(m.start)) }

func (m *Memory) At(t time.Time) int64 { return max(0, int64(t.Sub(m.start))) }

// Events are those so far.
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

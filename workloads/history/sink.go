package history

import "time"

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

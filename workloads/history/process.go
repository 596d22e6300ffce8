package history

import (
	"fmt"
	"time"
)

// ProcessEvent is the start or the end of a node's process, as the runtime learned of it.
type ProcessEvent struct {
	Node string      `json:"-"` // the event's own
	Kind ProcessKind `json:"kind"`
	PID  int         `json:"pid,omitempty"` // as the runtime counts; 0 if untold
	// When is when it happened, in nanoseconds on the history's clock: the runtime may learn
	// of it late. At is the same before it is in a history.
	When int64     `json:"at"`
	At   time.Time `json:"-"`

	// How it ended: by an exit with Code or, if that is not empty, by Signal (SIGKILL).
	Code        int    `json:"code,omitempty"`
	Signal      string `json:"signal,omitempty"`
	OutOfMemory bool   `json:"out_of_memory,omitempty"` // the kernel ended it for want of memory
}

// ProcessKind is what became of a process.
type ProcessKind string

const (
	ProcessStarted ProcessKind = "started"
	ProcessEnded   ProcessKind = "ended"
)

// How is how it ended, in words: "exit code 2", "SIGKILL", "SIGKILL (out of memory)".
func (e ProcessEvent) How() string {
	switch {
	case e.OutOfMemory:
		return e.Signal + " (out of memory)"
	case e.Signal != "":
		return e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

package injector

import (
	"fmt"
	"time"
)

// ClockReading is what the clocks of the node's process were read to show.
type ClockReading struct {
	Wall      time.Duration `json:"wall_ns"`      // how far the wall clock is ahead
	Monotonic time.Duration `json:"monotonic_ns"` // how far the monotonic clock is ahead
	Base      time.Duration `json:"base_ns"`      // of that, what does not come from what is asked now
	// BaseWithin is how far off Base may be.
	BaseWithin time.Duration `json:"base_within_ns,omitempty"`
	After      time.Duration `json:"after_ns"` // since what is asked was asked
	Patched    bool          `json:"patched"`

	// What the clocks gain, in s/s, from a second reading a moment later, and how far off
	// that may be.
	WallRate      float64 `json:"wall_rate,omitempty"`
	MonotonicRate float64 `json:"monotonic_rate,omitempty"`
	RateWithin    float64 `json:"rate_within,omitempty"`

	// Looks are what the wall clock showed at moments of more than two periods, if a strobe is asked.
	Looks []ClockLook `json:"looks,omitempty"`
}

// ClockLook is how far the wall clock was ahead at one moment.
type ClockLook struct {
	After  time.Duration `json:"after_ns"` // since what is asked was asked
	Wall   time.Duration `json:"wall_ns"`
	Within time.Duration `json:"within_ns"` // how far off both may be
}

// DiskReport is what system calls on the disk met, on a file that the node never sees listed.
// An error is the errno's name; "" is success.
type DiskReport struct {
	Create    string        `json:"create,omitempty"` // of a file
	Write     string        `json:"write,omitempty"`  // over what is there, which takes no space
	Sync      string        `json:"sync,omitempty"`
	Read      string        `json:"read,omitempty"`
	SyncTook  time.Duration `json:"sync_took_ns"`
	PlainTook time.Duration `json:"plain_took_ns"`   // an fsync of as much on the machine's own disk, beside the faults
	Durable   bool          `json:"durable"`         // what was synced would outlast a loss of power
	Unsynced  int64         `json:"unsynced"`        // bytes that a loss of power would take now
	Lost      int64         `json:"lost"`            // bytes that the last one took
	Names     string        `json:"names,omitempty"` // by which model (disk.Names) the last one was seen to take names, or NamesUntold
	Damaged   []Damaged     `json:"damaged,omitempty"`
}

// Damaged is what was done to one file.
type Damaged struct {
	Kind string `json:"kind"`
	File string `json:"file"` // from the data directory
	What string `json:"what"` // in words: "with bit 3 of byte 4711 flipped"
}

// NamesUntold is for a loss of power on a disk that failed or lied besides, where no file tells which names it took.
const NamesUntold = "untold"

// Damage is one file that is not what the node wrote.
type Damage struct {
	Kind string `json:"kind"` // BitFlip or Truncate
	File string `json:"file"` // a pattern of path.Match, from the data directory
	Draw uint64 `json:"draw"` // which of the files, and where in it
}

// The kinds of Damage.
const (
	BitFlip  = "bit-flip"
	Truncate = "truncate"
)

func (d Damage) check() error {
	if d.Kind != BitFlip && d.Kind != Truncate {
		return fmt.Errorf("damage %q: want %s or %s", d.Kind, BitFlip, Truncate)
	}
	return nil
}

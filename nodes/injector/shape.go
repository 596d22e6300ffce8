package injector

import (
	"fmt"
	"time"
)

// Shape is what happens to the packets of one peer beside Drop and Reject; the fields mean
// what those of faults.Link of the same name mean. The zero value is health.
type Shape struct {
	Loss      float64       `json:"loss,omitempty"`
	BurstLoss float64       `json:"burst_loss,omitempty"`
	Burst     float64       `json:"burst,omitempty"`
	Rate      int64         `json:"rate,omitempty"`  // bytes a second
	Queue     int64         `json:"queue,omitempty"` // bytes
	Delay     time.Duration `json:"delay_ns,omitempty"`
	Jitter    time.Duration `json:"jitter_ns,omitempty"`
	Scramble  bool          `json:"scramble,omitempty"`
	Reorder   float64       `json:"reorder,omitempty"`
	HoldBack  time.Duration `json:"hold_back_ns,omitempty"`
	Duplicate float64       `json:"duplicate,omitempty"`
	Corrupt   float64       `json:"corrupt,omitempty"`
	Seed      uint64        `json:"seed,omitempty"`
}

// longest is the longest that a packet may be asked to wait by one setting.
const longest = time.Minute

func (s Shape) check() error {
	for name, share := range map[string]float64{"loss": s.Loss, "burst_loss": s.BurstLoss, "reorder": s.Reorder,
		"duplicate": s.Duplicate, "corrupt": s.Corrupt} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%s of %v: want a share from 0 to 1", name, share)
		}
	}
	for name, wait := range map[string]time.Duration{"delay": s.Delay, "jitter": s.Jitter, "hold_back": s.HoldBack} {
		if wait < 0 || wait > longest {
			return fmt.Errorf("%s of %v: want 0 to %v", name, wait, longest)
		}
	}
	const most = 1 << 40
	if s.Rate < 0 || s.Rate > most || s.Queue < 0 || s.Queue > most || s.Rate > 0 && s.Queue == 0 {
		return fmt.Errorf("a rate of %d with a queue of %d: want both, 1 to %d", s.Rate, s.Queue, most)
	}
	if !(s.Burst >= 0 && s.Burst <= 1e9) {
		return fmt.Errorf("a burst of %v: want 0 to 1e9", s.Burst)
	}
	return nil
}

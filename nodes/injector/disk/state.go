package disk

import (
	"errors"
	"fmt"
	"time"
)

// State is what is wrong with a disk now; the zero value is a good disk. Of several things that
// would fail one call, the error (EIO) comes before the lack of space (ENOSPC).
type State struct {
	Lie      bool          `json:"lie,omitempty"`       // a sync answers well and makes nothing durable
	SlowSync time.Duration `json:"slow_sync,omitempty"` // every sync takes that much longer
	SlowIO   time.Duration `json:"slow_io,omitempty"`   // every read and write that reaches the disk likewise
	Full     bool          `json:"full,omitempty"`      // ENOSPC for what needs space: see the package doc

	FailRead  bool `json:"fail_read,omitempty"`  // EIO for reads that reach the disk
	FailWrite bool `json:"fail_write,omitempty"` // EIO for writes, truncations and fallocate
	FailSync  bool `json:"fail_sync,omitempty"`  // EIO for a sync, which makes nothing durable then or later
}

// slowest is more than any disk takes before its kernel gives it up (30 s by default for SCSI).
const slowest = time.Minute

// Check refuses delays that are negative or over a minute.
func (s State) Check() error {
	for name, delay := range map[string]time.Duration{"slow_sync": s.SlowSync, "slow_io": s.SlowIO} {
		if delay < 0 || delay > slowest {
			return fmt.Errorf("disk: %s is %v: it goes from 0 to %v", name, delay, slowest)
		}
	}
	return nil
}

// Names is which names a loss of power takes: see the package doc.
type Names string

const (
	Journaled Names = "journaled" // those that one of ext4, XFS and btrfs may lose; "" is the same
	POSIX     Names = "posix"     // those whose directory was not synced
)

// Check refuses what is no such word.
func (n Names) Check() error {
	switch n {
	case "", Journaled, POSIX:
		return nil
	}
	return errors.New("disk: names: want " + string(Journaled) + " or " + string(POSIX) + ", not " + string(n))
}

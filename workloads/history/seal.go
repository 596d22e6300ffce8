package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Seal is the value of a history's last line. It tells a history that is as it was written
// from one of which lines were lost, or edited and renumbered.
type Seal struct {
	Events int64  `json:"events"` // lines above this one
	SHA256 string `json:"sha256"` // of their bytes, in hexadecimal
}

// ErrUnsealed says that a history has no seal: its harness was killed, or is of a time
// before there were seals.
var ErrUnsealed = errors.New("the history has no seal at its end")

// CheckSeal compares a history with the seal at its end. An Event is written in one way
// only, so the bytes are those that the harness wrote.
func CheckSeal(events []Event) error {
	n := len(events)
	for i := range events[:max(0, n-1)] {
		if events[i].F == FSeal && events[i].Process == Harness {
			return fmt.Errorf("event %d: a seal that is not the last line", events[i].Index)
		}
	}
	if n == 0 || events[n-1].F != FSeal || events[n-1].Process != Harness {
		return ErrUnsealed
	}
	var seal Seal
	if err := json.Unmarshal(events[n-1].Value, &seal); err != nil {
		return fmt.Errorf("event %d: a seal that cannot be read: %w", events[n-1].Index, err)
	}
	if above := int64(n - 1); seal.Events != above {
		return fmt.Errorf("the history was sealed with %d events, and has %d", seal.Events, above)
	}
	sum := sha256.New()
	var line []byte
	for i := range events[:n-1] {
		line = events[i].Append(line[:0])
		sum.Write(line)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != seal.SHA256 {
		return errors.New("the history is not the one that was sealed: something in it was changed")
	}
	return nil
}

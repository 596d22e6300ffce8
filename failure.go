package faultline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"faultline/nodes"
)

// cutOff is the error of a run that was interrupted before its clients began. What the
// interrupt made fail is said too: among it could be what was not removed.
func cutOff(err error) error {
	lines := slices.Compact(strings.Split(err.Error(), "\n"))
	return fmt.Errorf("%w before the first operation (%s)", ErrInterrupted, strings.Join(lines, "; "))
}

// brokenOff is the error of a run that ended before its time: what went wrong, each thing
// once, and where the rest is.
func brokenOff(dir string, err error) error {
	err = fullDisk(dir, err)
	return fmt.Errorf("%w; the history up to there stays, and `faultline analyze %s` judges it", err, dir)
}

// fullDisk puts one sentence that says how to fix it in place of all that a full disk makes
// fail, and leaves out what is said twice.
func fullDisk(dir string, err error) error {
	var kept []error
	said := map[string]bool{}
	for _, e := range nodes.Joined(err) {
		if errors.Is(e, syscall.ENOSPC) {
			e = fmt.Errorf("the disk of %s is full, make room there: %w", dir, syscall.ENOSPC)
		}
		if !said[e.Error()] {
			said[e.Error()] = true
			kept = append(kept, e)
		}
	}
	return errors.Join(kept...)
}

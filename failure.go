package faultline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// cutOff is the error of a run that was interrupted before its clients began. What the
// interrupt made fail is told too: among it could be what was not removed.
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

// fullDisk puts one sentence with the way out in place of all that a full disk makes
// fail, and leaves out what is said twice.
func fullDisk(dir string, err error) error {
	var kept []error
	said := map[string]bool{}
	for _, e := range flatten(err) {
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

// flatten takes apart what errors.Join has put together, and nothing else.
func flatten(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if err == nil {
			return nil
		}
		return []error{err}
	}
	var texts []string
	for _, e := range joined.Unwrap() {
		texts = append(texts, e.Error())
		all = append(all, flatten(e)...)
	}
	if strings.Join(texts, "\n") != err.Error() { // a sentence around two errors
		return []error{err}
	}
	return all
}

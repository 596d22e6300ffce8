// Package clean removes what killed runs have left on this machine.
package clean

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"faultline"
	"faultline/nodes"
	"faultline/nodes/programs"
)

// Cleaner removes one kind of what killed runs have left on this machine.
type Cleaner struct {
	Kind  string
	Clean func(context.Context) (nodes.Cleaned, error)
}

// All lists what Run does, in this order: what keeps others from being removed comes first.
// None needs a checkout, or that the machine could run anything.
func All() []Cleaner {
	all := []Cleaner{{"disks", abortDisks}} // whose servers were killed and cannot end
	for _, line := range faultline.Default().Runtimes {
		all = append(all, Cleaner{line.Name, line.Make().Clean})
	}
	return append(all, Cleaner{"builds", programs.Clean}) // that were killed
}

// Show is how Run reports what it does, line by line.
type Show struct {
	Removed, Left func(line string)
	Note          func(line string) // what there was no need to do
}

// Run removes what killed runs have left on this machine, of every kind, whatever becomes of
// the others. The error says all that it could not do; it is a UsageError if the user can fix
// every bit of that.
func Run(ctx context.Context, cleaners []Cleaner, show Show) error {
	var errs []error
	for _, c := range cleaners {
		done, err := c.Clean(ctx)
		for _, line := range done.Removed {
			show.Removed(line)
		}
		for _, line := range done.Left {
			show.Left(line)
		}
		if ctx.Err() != nil {
			return errors.Join(append(errs, fmt.Errorf("%w; clean again to remove the rest", faultline.ErrInterrupted))...)
		}
		if errors.Is(err, nodes.ErrAbsent) {
			show.Note(fmt.Sprintf("%s: nothing to clean: %v", c.Kind, err))
			continue
		}
		for _, e := range nodes.Joined(err) {
			errs = append(errs, fmt.Errorf("%s: %w", c.Kind, e))
		}
	}
	for _, err := range errs {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, nodes.ErrUnlooked) {
			return errors.Join(errs...)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &faultline.UsageError{Err: errors.Join(errs...)}
}

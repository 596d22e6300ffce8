package faultline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"faultline/nodes"
	"faultline/nodes/programs"
)

// Cleaner removes one kind of what killed runs have left on this machine.
type Cleaner func(context.Context) (nodes.Cleaned, error)

// Cleaners lists what Clean does, in this order: what keeps others from being removed comes
// first. None needs a checkout, or that the machine could run anything.
func Cleaners() []Named[Cleaner] {
	all := []Named[Cleaner]{{"disks", "disks whose servers were killed and cannot end", cleanDisks}}
	for _, line := range Runtimes() {
		all = append(all, Named[Cleaner]{line.Name, "what clusters have left there", line.Make().Clean})
	}
	return append(all, Named[Cleaner]{"builds", "what builds have left that were killed", programs.Clean})
}

// CleanTold is told what Clean does, line by line.
type CleanTold struct {
	Removed, Left func(line string)
	Note          func(line string) // what there was no need to do
}

// Clean removes what killed runs have left on this machine, of every kind, whatever becomes of
// the others. The error says all that it could not do; it is a UsageError if the user can mend
// every bit of that.
func Clean(ctx context.Context, cleaners []Named[Cleaner], told CleanTold) error {
	var errs []error
	for _, c := range cleaners {
		done, err := c.Make(ctx)
		for _, line := range done.Removed {
			told.Removed(line)
		}
		for _, line := range done.Left {
			told.Left(line)
		}
		if ctx.Err() != nil {
			return errors.Join(append(errs, fmt.Errorf("%w; clean again to remove the rest", ErrInterrupted))...)
		}
		if errors.Is(err, nodes.ErrAbsent) {
			told.Note(fmt.Sprintf("%s: nothing to clean: %v", c.Name, err))
			continue
		}
		for _, e := range flatten(err) {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, e))
		}
	}
	for _, err := range errs {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, nodes.ErrUnlooked) {
			return errors.Join(errs...)
		}
	}
	return usage(errors.Join(errs...))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/nodes"
)

func cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what killed runs have left on this machine; runs that are alive keep theirs",
		Long: "Removes the containers, networks, volumes and old images of runs whose harness is gone, the\n" +
			"directories of this user's runs in namespaces, what was half built, and disks of nodes whose\n" +
			"server is gone. Run directories are never touched.\n" +
			"It says what it left alone and what it could not do, and then exits 254 if you can mend that\n" +
			"(a right is missing), else 255. A runtime that is not on this machine has left nothing.",
		Args: cobra.NoArgs,
		RunE: command(func(c *cobra.Command, _ []string) error {
			total := 0
			var failed []error
			for _, part := range faultline.Cleaners() {
				n, err := clean(c.Context(), part)
				total += n
				failed = append(failed, err)
			}
			printf("%d things removed\n", total)
			return cleanError(errors.Join(failed...))
		}),
	}
}

// clean does one part of a clean, and tells what came of it.
func clean(ctx context.Context, part faultline.Named[faultline.Cleaner]) (removed int, err error) {
	cleaned, err := part.Make(ctx)
	for _, what := range cleaned.Removed {
		printf("removed %s\n", what)
	}
	for _, what := range cleaned.Left {
		printf("left %s\n", what)
	}
	if err != nil && errors.Is(err, nodes.ErrAbsent) {
		printf("%s: nothing to clean: %v\n", part.Name, err)
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", part.Name, err)
	}
	return len(cleaned.Removed), err
}

// cleanError is a usage error where a right is missing, which whoever asked can get.
func cleanError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &faultline.UsageError{Err: fmt.Errorf("%w; as root, or as the user whose it is, `faultline clean` can", err)}
	}
	return err
}

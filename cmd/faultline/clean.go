package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
)

func cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what killed runs have left on this machine; runs that are alive keep theirs",
		Long: "Removes the containers, networks, volumes and old images of runs whose harness is gone, and\n" +
			"the directories of this user's runs in namespaces.\n" +
			"Run directories are never touched.",
		Args: cobra.NoArgs,
		RunE: command(func(c *cobra.Command, _ []string) error {
			var errs, lacking []error
			total := 0
			for _, line := range faultline.Runtimes() {
				rt := line.Make()
				if err := rt.Check(c.Context()); err != nil {
					lacking = append(lacking, fmt.Errorf("%s was not looked at: %w", line.Name, err))
					continue
				}
				removed, err := rt.Clean(c.Context())
				for _, what := range removed {
					printf("removed %s\n", what)
				}
				total += len(removed)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", line.Name, err))
				}
			}
			if len(lacking) == len(faultline.Runtimes()) {
				return &faultline.UsageError{Err: errors.Join(lacking...)}
			}
			for _, err := range lacking {
				printf("%v\n", err)
			}
			printf("%d things removed\n", total)
			return errors.Join(errs...)
		}),
	}
}

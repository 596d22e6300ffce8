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
			var errs []error
			total := 0
			for _, line := range faultline.Runtimes() {
				runtime := line.Make()
				removed, err := runtime.Clean(c.Context())
				for _, what := range removed {
					fmt.Println("removed", what)
				}
				total += len(removed)
				switch {
				case err == nil:
				case runtime.Check(c.Context()) != nil: // so no run can be there either
					fmt.Printf("%s is not offered here and was not looked at: %v\n", line.Name, err)
				default:
					errs = append(errs, fmt.Errorf("%s: %w", line.Name, err))
				}
			}
			fmt.Printf("%d things removed\n", total)
			return errors.Join(errs...)
		}),
	}
}

package main

import (
	"github.com/spf13/cobra"

	"faultline/cmd/internal/clean"
)

func cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Remove what killed runs have left on this machine; runs that are alive keep theirs",
		Long: "Removes the containers, networks, volumes and old images of runs whose harness is gone, the\n" +
			"directories of this user's runs in namespaces, what builds have left that were killed, and frees\n" +
			"nodes whose disk's server was killed and cannot end. Run directories are never touched.\n" +
			"What a run in another pid namespace may be using is left alone, and named.\n" +
			"The exit code is 0 if all was done, 254 if you can fix what was not (a permission is missing), and\n" +
			"255 otherwise. A runtime that is not on this machine has left nothing.",
		Args: cobra.NoArgs,
		RunE: command(func(c *cobra.Command, _ []string) error {
			total := 0
			err := clean.Run(c.Context(), clean.All(), clean.Show{
				Removed: func(line string) { total++; printf("removed %s\n", line) },
				Left:    func(line string) { printf("left %s\n", line) },
				Note:    func(line string) { printf("note: %s\n", line) },
			})
			printf("%d things removed\n", total)
			return err
		}),
	}
}

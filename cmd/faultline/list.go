package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"faultline"
)

func listCommand() *cobra.Command {
	catalogue := faultline.Catalogue()
	var kinds []string
	for _, section := range catalogue {
		kinds = append(kinds, section.Kind)
	}
	c := &cobra.Command{
		Use:       "list [" + strings.Join(kinds, "|") + "]",
		Short:     "List what there is, by name",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: kinds,
	}
	c.RunE = command(func(c *cobra.Command, args []string) error {
		if len(args) == 1 && !slices.Contains(kinds, args[0]) {
			return &faultline.UsageError{Err: fmt.Errorf("no kind %q to list; there are %s", args[0], strings.Join(kinds, ", "))}
		}
		for _, section := range catalogue {
			if len(args) == 1 && !slices.Contains(args, section.Kind) {
				continue
			}
			fmt.Println(section.Kind)
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, line := range section.Lines {
				fmt.Fprintf(w, "  %s\n", strings.Join(line, "\t"))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Println()
		}
		return nil
	})
	return c
}

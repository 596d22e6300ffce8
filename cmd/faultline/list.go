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
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: kinds,
	}
	c.RunE = command(func(c *cobra.Command, args []string) error {
		for _, section := range catalogue {
			if len(args) == 1 && !slices.Contains(args, section.Kind) {
				continue
			}
			fmt.Println(section.Kind)
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, line := range section.Lines {
				fmt.Fprintf(w, "  %s\t%s\n", line[0], strings.Join(line[1:], "\t"))
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

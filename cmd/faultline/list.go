package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"faultline"
	"faultline/checker/report"
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
			lines := section.Lines
			if term.IsTerminal(int(os.Stdout.Fd())) {
				lines = wrappedLines(lines, width(os.Stdout))
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, line := range lines {
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

// wrappedLines puts what follows a name below each other, as wide as a terminal lets it be.
func wrappedLines(lines [][]string, columns int) (all [][]string) {
	longest := 0
	for _, line := range lines {
		longest = max(longest, len(line[0]))
	}
	const indent, gap, least = 2, 2, 30
	for _, line := range lines {
		if len(line) == 1 {
			all = append(all, line)
		}
		name := line[0]
		for _, text := range line[1:] {
			for _, row := range report.Wrapped(text, max(least, columns-indent-longest-gap)) {
				all = append(all, []string{name, row})
				name = ""
			}
		}
	}
	return all
}

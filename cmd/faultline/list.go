package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"faultline"
	"faultline/checker/report"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/catalogue"
)

func listCommand() *cobra.Command {
	sections := catalogue.All()
	var kinds []string
	for _, section := range sections {
		kinds = append(kinds, section.Kind)
	}
	var json bool
	c := &cobra.Command{
		Use:       "list [" + strings.Join(kinds, "|") + "]",
		Short:     "List what there is, by name",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: kinds,
	}
	addJSON(c.Flags(), &json)
	c.RunE = command(func(c *cobra.Command, args []string) error {
		if len(args) == 1 && !slices.Contains(kinds, args[0]) {
			return &faultline.UsageError{Err: fmt.Errorf("no kind %q to list; there are %s", args[0], strings.Join(kinds, ", "))}
		}
		asked := slices.DeleteFunc(sections, func(s catalogue.Section) bool { return len(args) == 1 && args[0] != s.Kind })
		if !json {
			return listSections(c.OutOrStdout(), asked)
		}
		document := output.Catalogue{}
		for _, section := range asked {
			document[section.Kind] = section.Entries
		}
		return printJSON(document)
	})
	return c
}

func listSections(out io.Writer, sections []catalogue.Section) error {
	for _, section := range sections {
		fmt.Fprintln(out, section.Kind)
		lines := entryLines(section.Entries)
		if term.IsTerminal(int(os.Stdout.Fd())) {
			lines = wrappedLines(lines, width(os.Stdout))
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, line := range lines {
			fmt.Fprintf(w, "  %s\n", strings.Join(line, "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return nil
}

// entryLines returns lines for people, the name first.
func entryLines(entries []output.Entry) (lines [][]string) {
	for _, e := range entries {
		line := []string{e.Name}
		if e.Doc != "" {
			line = append(line, e.Doc)
		}
		if len(e.Capabilities) > 0 {
			line = append(line, "can: "+strings.Join(e.Capabilities, ", "))
		}
		lines = append(lines, line)
		for _, m := range e.Modes {
			lines = append(lines, []string{"", "mode " + m.Name + ": " + m.Doc})
		}
		if e.SeenIn != "" {
			lines = append(lines, []string{"", "seen in: " + e.SeenIn})
		}
	}
	return lines
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

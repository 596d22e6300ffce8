package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"faultline/checker/rundir"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/catalogue"
	"faultline/workloads/history"
)

// Names are completed by the table in code that they are looked up in, so that a shell offers
// exactly what there is. The scripts themselves are cobra's (faultline completion).

// yamlFiles lets the shell offer folders and YAML files.
func yamlFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func folders(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// first completes the first argument only.
func first(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
	}
}

// oneOf completes a name of a table.
func oneOf(table func() []output.Entry) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return described(table(), "", begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// orFile completes a name of a table, or whatever file the shell finds if none begins so.
func orFile(table func() []output.Entry) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return described(table(), "", begun), cobra.ShellCompDirectiveDefault
	}
}

// someOf completes the last of several names that commas part.
func someOf(table func() []output.Entry) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndex(begun, ",")+1]
		given := strings.Split(before, ",")
		left := slices.DeleteFunc(table(), func(e output.Entry) bool { return slices.Contains(given, e.Name) })
		return described(left, before, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// described returns the names that go on as the user has begun, with what they are.
func described(entries []output.Entry, before, begun string) (all []cobra.Completion) {
	for _, e := range entries {
		switch name := before + e.Name; {
		case !strings.HasPrefix(name, begun):
		case e.Doc == "":
			all = append(all, name)
		default:
			all = append(all, cobra.CompletionWithDesc(name, e.Doc))
		}
	}
	return all
}

// runtimes are those of the table, and auto.
func runtimes() []output.Entry {
	return append([]output.Entry{{Name: fromFlags.Runtime, Doc: "the first that this machine offers"}}, catalogue.Runtimes()...)
}

func modes() (all []output.Entry) {
	for _, system := range catalogue.Systems() {
		for _, mode := range append([]output.Mode{{Name: string(history.ModeDefault)}}, system.Modes...) {
			if !slices.ContainsFunc(all, func(e output.Entry) bool { return e.Name == mode.Name }) {
				all = append(all, output.Entry{Name: mode.Name, Doc: mode.Doc})
			}
		}
	}
	return all
}

// runs completes a run directory of the store.
func runs(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	store, err := c.Flags().GetString("store")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := rundir.List(store)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return all, cobra.ShellCompDirectiveDefault
}

// keys completes the key of what a sweep varies.
func keys(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return described(variable(), "", begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// flagValues says how values of flags are completed, whatever the command. A flag that is not
// here takes a number, a duration or a word of the user's own.
var flagValues = map[string]cobra.CompletionFunc{
	"runtime":  oneOf(runtimes),
	"system":   oneOf(catalogue.Systems),
	"topology": orFile(catalogue.Topologies),
	"workload": oneOf(catalogue.Workloads),
	"mode":     oneOf(modes),
	"nemesis":  someOf(catalogue.Families),
	"defect":   someOf(catalogue.Defects),
	"schedule": yamlFiles,
	"vary":     keys,
	"store":    folders,
	"keep":     folders,
}

// completeCommands has the values of all flags completed, and refuses a shell that cobra does
// not know.
func completeCommands(c *cobra.Command) error {
	if c.Name() == "completion" {
		c.RunE = command(func(c *cobra.Command, _ []string) error { return c.Help() }) // without it, any argument would do
	}
	for name, complete := range flagValues {
		if c.LocalNonPersistentFlags().Lookup(name) == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
			return err
		}
	}
	for _, below := range c.Commands() {
		if err := completeCommands(below); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker/report"
	"faultline/checker/rundir"
)

func analyzeCommand() *cobra.Command {
	var out outputFlags
	c := &cobra.Command{
		Use:     "analyze [RUN]",
		Short:   "Judge a stored run again, and write its reports anew",
		Long:    "RUN is a run directory, or a folder whose latest run is meant; without it, the store's latest.",
		Args:    cobra.MaximumNArgs(1),
		Example: "  faultline analyze store/latest",

		ValidArgsFunction: first(runs),
	}
	out.add(c.Flags())
	c.RunE = command(func(c *cobra.Command, args []string) error {
		path := out.store
		if len(args) == 1 {
			path = args[0]
		}
		dir, err := rundir.Locate(path)
		if err != nil {
			return &faultline.UsageError{Err: err}
		}
		outcome, err := faultline.Analyze(c.Context(), dir)
		if err != nil {
			return err
		}
		if out.json {
			if err := printJSON(runDocument(outcome)); err != nil {
				return err
			}
		} else {
			fmt.Print(report.Terminal(outcome.Report, out.colour(), out.width()))
		}
		return verdict(outcome.Verdict)
	})
	return c
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker/report"
)

func analyzeCommand() *cobra.Command {
	var out outputFlags
	c := &cobra.Command{
		Use:     "analyze [RUN]",
		Short:   "Judge a stored run again, and write its reports anew",
		Long:    "RUN is a run directory, or a folder whose latest run is meant; without it, the store's latest.",
		Args:    cobra.MaximumNArgs(1),
		Example: "  faultline analyze store/latest",
	}
	out.add(c.Flags())
	c.RunE = command(func(c *cobra.Command, args []string) error {
		path := out.store
		if len(args) == 1 {
			path = args[0]
		}
		dir, err := faultline.Locate(path)
		if err != nil {
			return err
		}
		outcome, err := faultline.Analyze(c.Context(), dir)
		if err != nil {
			return err
		}
		fmt.Print(report.Terminal(outcome.Report, out.colour(), out.width()))
		return verdict(outcome.Verdict)
	})
	return c
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker/report"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/suite"
	"faultline/topologies"
)

func sweepCommand(stop *interrupts) *cobra.Command {
	var (
		vary  []string
		flags scenarioFlags
		out   outputFlags
	)
	c := &cobra.Command{
		Use:   "sweep [SCENARIO.yaml] --vary KEY=VALUE,VALUE…",
		Short: "Play a scenario with every combination of some values, and draw maps of what became of it",
		Long: "A key is a field of a scenario that holds one value (rate, timeout, mode, seed …), or wan.loss, wan.rtt and so on:\n" +
			"what all links between datacenters are like, where wan.rtt is both ways. STORE/sweeps/SCENARIO/index.html has a map\n" +
			"of verdicts, success, latencies and recovery, in which every cell leads to its run; sweep.csv and sweep.json have\n" +
			"the numbers. After an interrupt the same command plays what is missing. Exit code: of the worst cell.",
		Args: cobra.MaximumNArgs(1),
		Example: "  faultline sweep wan.yaml --vary wan.loss=0,0.01,0.05,0.1,0.2,0.3 --vary wan.rtt=40ms,150ms,300ms --jobs 2\n" +
			"  faultline sweep ci/smoke/partitions.yaml --vary rate=100,300,1000 --vary mode=default,consistent",

		ValidArgsFunction: first(yamlFiles),
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().StringArrayVar(&vary, "vary", nil, "what is varied, `KEY=VALUE,VALUE…`; may be repeated, the last one makes the columns")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		scenario, err := flags.one(c.Flags(), args)
		axes, wrong := suite.ParseAxes(vary)
		if wrong != nil {
			wrong = &faultline.UsageError{Err: wrong}
		}
		if err := errors.Join(err, out.check(), wrong); err != nil {
			return err
		}
		return playSweep(c.Context(), suite.Sweep{Scenario: scenario, Axes: axes, Run: faultline.Run}, out.options(stop), out)
	})
	return c
}

func playSweep(ctx context.Context, s suite.Sweep, o suite.Options, out outputFlags) error {
	played, err := s.Play(ctx, o, func(all report.Sweep, c report.Cell) {
		o.Run.Progress.Say(fmt.Sprintf("%s: %s; %d of %d cells are missing, see %s", all.Label(c), c.Verdict, all.Missing, len(all.Cells), filepath.Join(all.Directory, suite.SweepPage)))
	})
	if len(played.Cells) == 0 || err != nil && !errors.Is(err, faultline.ErrInterrupted) {
		return err
	}
	if out.json {
		out.print("")
		if err := printJSON(output.Sweep(played)); err != nil {
			return err
		}
		return verdict(played.Verdict)
	}
	out.print(report.TerminalSweep(played) + filepath.Join(played.Directory, suite.SweepPage) + "\n")
	if played.Missing > 0 {
		fmt.Printf("interrupted: %d of %d cells have no verdict; the same command plays them\n", played.Missing, len(played.Cells))
	}
	return verdict(played.Verdict)
}

// variable are the keys that a sweep may vary, as a shell offers them.
func variable() (all []output.Entry) {
	for _, f := range topologies.WANFields() {
		all = append(all, output.Entry{Name: topologies.WANPrefix + f.Name + "="})
	}
	for _, f := range fields {
		if !severalValues[f.name] {
			all = append(all, output.Entry{Name: f.name + "="})
		}
	}
	return all
}

// severalValues are the flags that are no field of one value.
var severalValues = map[string]bool{"name": true, "set": true, "defect": true, "nemesis": true}

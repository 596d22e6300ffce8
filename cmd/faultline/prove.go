package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/cmd/internal/suite"
)

func proveCommand(stop *interrupts) *cobra.Command {
	var (
		attempts int
		flags    scenarioFlags
		out      outputFlags
	)
	c := &cobra.Command{
		Use:   "prove [SCENARIO.yaml | DIRECTORY]",
		Short: "Show that planted defects are found, and that nothing is found without them",
		Long: "Every scenario must name defects. It is run with them until it is invalid, at most --attempts\n" +
			"times, and without them, which must be valid, at once or after two runs that were unknown.",
		Args: cobra.MaximumNArgs(1),

		ValidArgsFunction: first(yamlFiles),
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().IntVar(&attempts, "attempts", 8, "runs with the defect before it counts as missed")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		path := filepath.Join("ci", "prove")
		if len(args) == 1 {
			path = args[0]
		}
		scenarios, err := faultline.LoadSuite(path)
		if err != nil {
			return err
		}
		if scenarios, err = flags.apply(c.Flags(), scenarios, 1); err != nil {
			return err
		}
		if attempts < 1 {
			return &faultline.UsageError{Err: fmt.Errorf("--attempts %d: want at least 1", attempts)}
		}
		if err := out.check(); err != nil {
			return err
		}
		proofs, err := suite.Prove(c.Context(), scenarios, attempts, out.options(stop), func(p suite.Proof) {
			if out.json {
				out.live.Say(p.String())
				return
			}
			out.print(report.Visible(p.String()) + "\n")
		})
		if err != nil {
			return err
		}
		return showProofs(proofs, out.json)
	})
	return c
}

// showProofs prints the sum of all proofs, and returns its verdict.
func showProofs(proofs []suite.Proof, json bool) error {
	document := proofsDocument(proofs)
	if !json {
		fmt.Printf("%d of %d defects caught, %d false alarms\n", document.Caught, len(proofs), document.FalseAlarms)
	} else if err := printJSON(document); err != nil {
		return err
	}
	return verdict(document.Verdict)
}

// judgeProofs counts, and is invalid if a defect was missed or a sound system accused.
func judgeProofs(proofs []suite.Proof) (caught, alarms int, all checker.Verdict) {
	silent := 0
	for _, p := range proofs {
		if p.Caught() {
			caught++
		}
		if p.Silent() {
			silent++
		}
		if p.Without.Verdict == checker.Invalid {
			alarms++
		}
	}
	switch {
	case alarms > 0 || caught < len(proofs):
		return caught, alarms, checker.Invalid
	case silent < len(proofs):
		return caught, alarms, checker.Unknown
	}
	return caught, alarms, checker.Valid
}

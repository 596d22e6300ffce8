package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
)

func testCommand(stop *interrupts) *cobra.Command {
	var (
		count int
		keep  string
		flags scenarioFlags
		out   outputFlags
	)
	c := &cobra.Command{
		Use:   "test [SCENARIO.yaml | DIRECTORY]",
		Short: "Run a scenario, all scenarios of a directory, or what the flags say, and judge it",
		Args:  cobra.MaximumNArgs(1),
		Example: "  faultline test ci/smoke\n" +
			"  faultline test --topology dc1-5 --nemesis partition,kill --time-limit 2m\n" +
			"  faultline test ci/smoke/partitions.yaml --mode consistent --seed 7 --test-count 5",
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().IntVar(&count, "test-count", 1, "run everything this often, with seeds that follow each other, or are drawn")
	c.Flags().StringVar(&keep, "keep", "", "keep the schedule of every invalid run in this `folder`, and play what is kept there first")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		suite := []faultline.Scenario{fromFlags}
		name := "flags"
		if len(args) == 1 {
			var err error
			if suite, err = faultline.LoadSuite(args[0]); err != nil {
				return err
			}
			name = filepath.Clean(args[0])
		}
		suite, err := flags.apply(c.Flags(), suite, count)
		if err := errors.Join(err, out.check()); err != nil {
			return err
		}
		o := out.options(stop)
		if o.Keep = keep; keep != "" {
			kept, err := faultline.Kept(keep)
			if err != nil {
				return err
			}
			suite = append(kept, suite...)
		}
		return runSuite(c.Context(), name, suite, o, out)
	})
	return c
}

func runSuite(ctx context.Context, name string, scenarios []faultline.Scenario, o faultline.Options, out outputFlags) error {
	show := func(outcome faultline.Outcome) {
		out.print(report.Terminal(outcome.Report, out.colour(), out.width()))
	}
	suite, err := faultline.RunSuite(ctx, name, scenarios, o, show)
	if len(suite.Outcomes) > 1 {
		out.print(report.TerminalSuite(suite.Data(), out.colour(), out.width()))
	}
	if err != nil && !(errors.Is(err, faultline.ErrInterrupted) && len(suite.Outcomes) > 0) {
		return err
	}
	if err != nil {
		complain(err)
	}
	if missing := len(scenarios) - len(suite.Outcomes); missing > 0 {
		fmt.Printf("interrupted: %d of %d scenarios have no verdict\n", missing, len(scenarios))
		return verdict(checker.Worst(suite.Verdict(), checker.Unknown))
	}
	return verdict(suite.Verdict())
}

func (f *outputFlags) options(stop *interrupts) faultline.Options {
	o := faultline.Options{Store: f.store, Jobs: f.jobs, Progress: f.progress(), Abort: stop.abort}
	stop.announce(o.Progress.Say)
	if f.verbose {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return o
}

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
			"times, and once without them, which must be valid.",
		Args: cobra.MaximumNArgs(1),
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().IntVar(&attempts, "attempts", 8, "runs with the defect before it counts as missed")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		path := filepath.Join("ci", "prove")
		if len(args) == 1 {
			path = args[0]
		}
		suite, err := faultline.LoadSuite(path)
		if err != nil {
			return err
		}
		if suite, err = flags.apply(c.Flags(), suite, 1); err != nil {
			return err
		}
		if attempts < 1 {
			return &faultline.UsageError{Err: fmt.Errorf("--attempts %d: want at least 1", attempts)}
		}
		if err := out.check(); err != nil {
			return err
		}
		proofs, err := faultline.Prove(c.Context(), suite, attempts, out.options(stop), func(p faultline.Proof) {
			out.print(report.Visible(p.String()) + "\n")
		})
		if err != nil {
			return err
		}
		return summarise(os.Stdout, proofs)
	})
	return c
}

// summarise counts, and is invalid if a defect was missed or a sound system accused.
func summarise(w io.Writer, proofs []faultline.Proof) error {
	caught, alarms, silent := 0, 0, 0
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
	fmt.Fprintf(w, "%d of %d defects caught, %d false alarms\n", caught, len(proofs), alarms)
	switch {
	case alarms > 0 || caught < len(proofs):
		return verdict(checker.Invalid)
	case silent < len(proofs):
		return verdict(checker.Unknown)
	}
	return nil
}

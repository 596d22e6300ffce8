package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/cmd/internal/suite"
)

func testCommand(stop *interrupts) *cobra.Command {
	var (
		count int
		keep  string
		until bool
		flags scenarioFlags
		out   outputFlags
	)
	c := &cobra.Command{
		Use:   "test [SCENARIO.yaml | DIRECTORY]",
		Short: "Run a scenario, all scenarios of a directory, or what the flags say, and judge it",
		Args:  cobra.MaximumNArgs(1),

		ValidArgsFunction: first(yamlFiles),
		Example: "  faultline test ci/smoke\n" +
			"  faultline test --topology dc1-5 --nemesis partition,kill --time-limit 2m\n" +
			"  faultline test ci/smoke/partitions.yaml --mode consistent --seed 7 --test-count 5",
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().IntVar(&count, "test-count", 1, "run everything this often, with seeds that follow each other, or are drawn")
	c.Flags().StringVar(&keep, "keep", "", "keep the schedule of every invalid run in this `folder`, and play what is kept there first")
	c.Flags().BoolVar(&until, "until-invalid", false, "end a run as soon as a violation is seen; what would have followed is not tried")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		scenarios := []faultline.Scenario{fromFlags}
		name := "flags"
		if len(args) == 1 {
			var err error
			if scenarios, err = faultline.LoadSuite(args[0]); err != nil {
				return err
			}
			name = filepath.Clean(args[0])
		}
		scenarios, err := flags.apply(c.Flags(), scenarios, count)
		if err := errors.Join(err, out.check()); err != nil {
			return err
		}
		o := out.options(stop)
		o.Run.UntilInvalid = until
		if o.Keep = keep; keep != "" {
			kept, err := suite.Kept(keep)
			if err != nil {
				return err
			}
			scenarios = append(kept, scenarios...)
		}
		return runSuite(c.Context(), name, scenarios, o, out)
	})
	return c
}

func runSuite(ctx context.Context, name string, scenarios []faultline.Scenario, o suite.Options, out outputFlags) error {
	show := func(outcome faultline.Outcome) {
		if out.json {
			o.Run.Progress.Say(fmt.Sprintf("%s: %s, see %s", outcome.Report.Scenario, outcome.Verdict, outcome.Dir))
			return
		}
		out.print(report.Terminal(outcome.Report, out.colour(), out.width()))
	}
	result, err := suite.Run(ctx, name, scenarios, o, show)
	if err != nil && len(result.Outcomes) == 0 {
		return err
	}
	if failed := showSuite(result, len(scenarios), err, out); failed != nil {
		return errors.Join(err, failed)
	}
	if err != nil && !errors.Is(err, faultline.ErrInterrupted) {
		return err
	}
	if err != nil {
		complain(err)
	}
	if missing := len(scenarios) - len(result.Outcomes); missing > 0 {
		return verdict(checker.Worst(result.Verdict(), checker.Unknown))
	}
	return verdict(result.Verdict())
}

// showSuite prints what became of so many scenarios; stopped is why some have no verdict.
func showSuite(result suite.Result, scenarios int, stopped error, out outputFlags) error {
	if out.json {
		out.print("") // takes the status away
		return printJSON(suiteDocument(result, scenarios, stopped))
	}
	if len(result.Outcomes) > 1 {
		out.print(report.TerminalSuite(result.Data(), out.colour(), out.width()))
	}
	if missing := scenarios - len(result.Outcomes); missing > 0 && (stopped == nil || errors.Is(stopped, faultline.ErrInterrupted)) {
		fmt.Printf("interrupted: %d of %d scenarios have no verdict\n", missing, scenarios)
	}
	return nil
}

func (f *outputFlags) options(stop *interrupts) suite.Options {
	o := suite.Options{Run: faultline.Options{Store: f.store, Progress: f.progress(), Abort: stop.abort}, Jobs: f.jobs}
	stop.announce(o.Run.Progress.Say)
	if f.verbose {
		o.Run.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return o
}

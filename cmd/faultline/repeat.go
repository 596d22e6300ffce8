package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/suite"
)

// found judges a stored run that is to be invalid, and returns it as it was played.
func found(c *cobra.Command, path string) (suite.Violation, faultline.Scenario, string, error) {
	dir, err := rundir.Locate(path)
	if err != nil {
		return nil, faultline.Scenario{}, "", &faultline.UsageError{Err: err}
	}
	outcome, err := faultline.Analyze(c.Context(), dir)
	if err != nil {
		return nil, faultline.Scenario{}, "", err
	}
	if outcome.Verdict != checker.Invalid {
		return nil, faultline.Scenario{}, "", &faultline.UsageError{Err: fmt.Errorf("%s is %s: name a run that is invalid", dir, outcome.Verdict)}
	}
	s, err := suite.Resolved(outcome)
	return suite.ViolationOf(outcome), s, dir, err
}

func repeatCommand(stop *interrupts) *cobra.Command {
	var (
		count   int
		runtime string
		out     outputFlags
	)
	c := &cobra.Command{
		Use:   "repeat RUN",
		Short: "Play an invalid run again and again, and say how surely its violation comes back",
		Long: "RUN is a run directory, or a folder whose latest run is meant. It is played with its steps aimed at\n" +
			"the nodes that they hit, and with its seed. A violation is the same if one of the checkers that called\n" +
			"the run invalid does so again. Exit code 1: it came back; 0: all runs were valid; 2: neither.",
		Args:    cobra.ExactArgs(1),
		Example: "  faultline repeat store/latest -n 20 --jobs 2",

		ValidArgsFunction: first(runs),
	}
	out.add(c.Flags())
	c.Flags().IntVarP(&count, "runs", "n", 10, "how often to play it")
	c.Flags().StringVar(&runtime, "runtime", "", "where nodes run, instead of where the run was")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		if count < 1 {
			return &faultline.UsageError{Err: fmt.Errorf("--runs %d: want at least 1", count)}
		}
		if err := out.check(); err != nil {
			return err
		}
		violation, s, _, err := found(c, args[0])
		if err != nil {
			return err
		}
		if runtime != "" {
			s.Runtime = runtime
		}
		r, err := suite.Repeat(c.Context(), s, violation, count, out.options(stop), func(o faultline.Outcome) {
			out.live.Say(fmt.Sprintf("%s %s", o.Verdict, o.Dir))
		})
		if err != nil && len(r.Outcomes) == 0 {
			return err
		}
		return errors.Join(err, showRepetition(r, out.json))
	})
	return c
}

// showRepetition prints how surely a violation comes back, and returns its verdict.
func showRepetition(r suite.Repetition, json bool) error {
	low, high := checker.Wilson(r.Same(), len(r.Outcomes))
	document := output.Repetition{Checkers: r.Violation, Runs: runDocuments(r.Outcomes), Same: r.Same(), Low: low, High: high, Verdict: checker.Unknown}
	switch valid := r.Count(func(o faultline.Outcome) bool { return o.Verdict == checker.Valid }); {
	case r.Same() > 0:
		document.Verdict = checker.Invalid
	case valid == len(r.Outcomes):
		document.Verdict = checker.Valid
	}
	if !json {
		fmt.Println(report.Visible(r.String()))
	} else if err := printJSON(document); err != nil {
		return err
	}
	return verdict(document.Verdict)
}

// shrunk is the file that shrink writes, beside the run, unless it is given another.
const shrunk = "shrunk.yaml"

func shrinkCommand(stop *interrupts) *cobra.Command {
	var (
		tries   int
		budget  time.Duration
		file    string
		runtime string
		out     outputFlags
	)
	c := &cobra.Command{
		Use:   "shrink RUN",
		Short: "Look for the smallest schedule that still shows what an invalid run has found",
		Long: "RUN is a run directory, or a folder whose latest run is meant. Steps are left out, then aimed at fewer\n" +
			"nodes and made shorter, then the run, its clients and its operations, as long as a checker that called the\n" +
			"run invalid does so again in one of --tries runs. The result is a scenario, for ci/regress.",
		Args:    cobra.ExactArgs(1),
		Example: "  faultline shrink store/latest --budget 20m --output lost-write.yaml",

		ValidArgsFunction: first(runs),
	}
	out.add(c.Flags())
	c.Flags().IntVar(&tries, "tries", 3, "how often a smaller scenario is played before it counts as one that does not show it")
	c.Flags().DurationVar(&budget, "budget", 20*time.Minute, "when to stop with the smallest so far")
	c.Flags().StringVarP(&file, "output", "o", "", "file of the scenario (default RUN/"+shrunk+")")
	c.Flags().StringVar(&runtime, "runtime", "", "where nodes run, instead of where the run was")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		if tries < 1 {
			return &faultline.UsageError{Err: fmt.Errorf("--tries %d: want at least 1", tries)}
		}
		if budget <= 0 {
			return &faultline.UsageError{Err: fmt.Errorf("--budget %v: want more than 0", budget)}
		}
		if err := out.check(); err != nil {
			return err
		}
		violation, s, dir, err := found(c, args[0])
		if err != nil {
			return err
		}
		if file == "" {
			file = filepath.Join(dir, shrunk)
		}
		if runtime != "" {
			s.Runtime = runtime
		}
		if len(s.Steps) == 0 {
			return &faultline.UsageError{Err: fmt.Errorf("%s has no steps, so there is nothing to leave out", dir)}
		}
		options := out.options(stop)
		options.Run.UntilInvalid = violation.SeenEarly()
		search := suite.Shrinking{Tries: tries, Say: out.live.Say,
			Valid: func(ctx context.Context, s faultline.Scenario) error {
				return faultline.Check(ctx, []faultline.Scenario{s}, options.Run)
			},
			Play: func(ctx context.Context, s faultline.Scenario) (bool, error) {
				o, err := faultline.Run(ctx, s, options.Run)
				return err == nil && violation.Same(o), err
			}}
		ctx, cancel := context.WithTimeout(c.Context(), budget)
		defer cancel()
		small, err := search.Shrink(ctx, s)
		if err != nil {
			return err
		}
		small.Doc = fmt.Sprintf("%s was %s here. Made smaller from %d steps in %d runs.", s.Name, "invalid by "+strings.Join(violation, ", "), len(s.Steps), search.Plays())
		if strings.ContainsAny(small.Topology, "/.") {
			if small.Topology, err = filepath.Rel(filepath.Dir(file), small.Topology); err != nil {
				return err
			}
			small.Topology = "." + string(filepath.Separator) + small.Topology
		}
		if err := os.WriteFile(file, []byte(small.String()), 0o644); err != nil {
			return err
		}
		document := output.Shrinking{Checkers: violation, StepsBefore: len(s.Steps), Steps: len(small.Steps), Runs: search.Plays(), File: file,
			Complete: ctx.Err() == nil}
		if out.json {
			return printJSON(document)
		}
		fmt.Print(report.Visible(fmt.Sprintf("%d of %d steps are left after %d runs: %s\n", document.Steps, document.StepsBefore, document.Runs, file)))
		if !document.Complete {
			fmt.Printf("the time of %v was over before all was tried\n", budget)
		}
		return nil
	})
	return c
}

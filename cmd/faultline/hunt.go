package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/suite"
	"faultline/nemesis"
)

type huntFlags struct {
	budget  time.Duration
	runs    int
	first   bool
	uniform bool
	compare int
	learned string
}

func huntCommand(stop *interrupts) *cobra.Command {
	var (
		hunt  huntFlags
		flags scenarioFlags
		out   outputFlags
	)
	c := &cobra.Command{
		Use:   "hunt [SCENARIO.yaml]",
		Short: "Play one drawn schedule after the other, and draw what finds violations more often",
		Long: "The scenario's families are drawn anew for every run, in swarms: each run has about half of them. What runs\n" +
			"found with a family, and without, decides how often it is drawn from then on. The table says which families,\n" +
			"aimed at whom, alone or overlapping, are in how many runs, and how many of these found something, and when.\n" +
			"A run ends with its first violation. Exit code 1: something was found; 0: all runs were valid; 2: neither.",
		Args: cobra.MaximumNArgs(1),
		Example: "  faultline hunt --nemesis partition,pause,kill,transfer --budget 20m --jobs 2\n" +
			"  faultline hunt --defect wall-clock-lease --nemesis clock,pause,partition --first --learned weights.yaml",

		ValidArgsFunction: first(yamlFiles),
	}
	flags.add(c.Flags())
	out.add(c.Flags())
	c.Flags().DurationVar(&hunt.budget, "budget", 20*time.Minute, "no run begins after that")
	c.Flags().IntVar(&hunt.runs, "runs", 0, "at most so many runs; 0: as many as the budget allows")
	c.Flags().BoolVar(&hunt.first, "first", false, "stop at the first violation")
	c.Flags().BoolVar(&hunt.uniform, "uniform", false, "learn nothing: draw families as if nothing were known")
	c.Flags().IntVar(&hunt.compare, "compare", 0, "hunt for the first violation so often with what is learned, so often without, and compare; nothing is learned by that")
	c.Flags().StringVar(&hunt.learned, "learned", "", "`file` of what hunts before have learned; it is read if it is there, and written")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		scenario, err := flags.one(c.Flags(), args)
		if err == nil {
			err = hunt.check(c, scenario)
		}
		if err := errors.Join(err, out.check()); err != nil {
			return err
		}
		h, err := hunt.of(scenario.Drawn())
		if err != nil {
			return err
		}
		o := out.options(stop)
		if hunt.compare > 0 {
			return hunt.compared(c.Context(), h, o, out)
		}
		tally, err := h.Play(c.Context(), o, func(outcome faultline.Outcome) {
			out.live.Say(fmt.Sprintf("%s %s", outcome.Verdict, outcome.Dir))
		})
		if err != nil && tally.All.Runs == 0 {
			return err
		}
		if hunt.learned != "" {
			err = errors.Join(err, os.WriteFile(hunt.learned, []byte(h.Learned.String()), 0o644))
		}
		return errors.Join(err, showHunt(tally, h, out))
	})
	return c
}

func (f huntFlags) check(c *cobra.Command, s faultline.Scenario) error {
	switch {
	case f.budget <= 0:
		return &faultline.UsageError{Err: fmt.Errorf("--budget %v: want more than 0", f.budget)}
	case f.runs < 0 || f.compare < 0:
		return &faultline.UsageError{Err: fmt.Errorf("--runs %d --compare %d: neither may be negative", f.runs, f.compare)}
	case c.Flags().Changed("nemesis-weights"):
		return &faultline.UsageError{Err: errors.New("--nemesis-weights is not for a hunt, which draws its own: give it --learned")}
	case len(s.Nemesis) == 0:
		return &faultline.UsageError{Err: errors.New("a hunt draws schedules from families of faults: give it --nemesis")}
	}
	return nil
}

// of is the hunt of a scenario.
func (f huntFlags) of(s faultline.Scenario) (*suite.Hunt, error) {
	s.NemesisWeights, s.NemesisStyle = "", faultline.StyleSwarm
	h := &suite.Hunt{Scenario: s, Families: s.Nemesis, Budget: f.budget, Runs: f.runs, First: f.first, Uniform: f.uniform, Learned: nemesis.Learned{}}
	if f.learned == "" {
		return h, nil
	}
	data, err := os.ReadFile(f.learned)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, &faultline.UsageError{Err: err}
	}
	if h.Learned, err = nemesis.ParseLearned(f.learned, data); err != nil {
		return nil, &faultline.UsageError{Err: err}
	}
	return h, nil
}

// showHunt prints what a hunt met, and returns its verdict.
func showHunt(t suite.Tally, h *suite.Hunt, out outputFlags) error {
	document := output.Hunt{Verdict: checker.Unknown, Runs: t.All.Runs, Found: t.All.Found, Unknown: t.Unknown, First: t.First, FirstSeconds: t.ToFirst.Seconds()}
	switch {
	case t.All.Found > 0:
		document.Verdict = checker.Invalid
	case t.Unknown == 0:
		document.Verdict = checker.Valid
	}
	for _, k := range t.Kinds() {
		n := t.ByKind[k]
		row := output.HuntKind{Family: k.Family, Role: k.Role, Timing: k.Timing, Runs: n.Runs, Found: n.Found, MedianSeconds: suite.Median(t.Times[k]).Seconds()}
		row.Low, row.High = checker.Wilson(n.Found, n.Runs)
		document.Kinds = append(document.Kinds, row)
	}
	for _, name := range h.Families {
		if effect := suite.Effect(h.Learned[name]); effect != "" {
			document.Effects = append(document.Effects, output.HuntEffect{Family: name, Effect: effect})
		}
	}
	if out.json {
		out.print("")
		if err := printJSON(document); err != nil {
			return err
		}
		return verdict(document.Verdict)
	}
	out.print(report.Visible(huntTable(document)))
	return verdict(document.Verdict)
}

func huntTable(d output.Hunt) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "family\taimed at\ttiming\truns\tfound\tby 95 %\tin the middle after")
	for _, k := range d.Kinds {
		after := ""
		if k.Found > 0 {
			after = fmt.Sprintf("%.1f s", k.MedianSeconds)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%.0f to %.0f %%\t%s\n", k.Family, k.Role, k.Timing, k.Runs, k.Found, 100*k.Low, 100*k.High, after)
	}
	_ = table.Flush() // into memory
	for _, e := range d.Effects {
		fmt.Fprintf(&b, "%s %s\n", e.Family, e.Effect)
	}
	fmt.Fprintf(&b, "%d of %d runs found something, %d unknown", d.Found, d.Runs, d.Unknown)
	if d.First != "" {
		fmt.Fprintf(&b, "; the first after %.0f s: %s", d.FirstSeconds, d.First)
	}
	return b.String() + "\n"
}

// compared hunts in turns with what is learned and without, with the same seeds, and prints how long the first
// violation took.
func (f huntFlags) compared(ctx context.Context, h *suite.Hunt, o suite.Options, out outputFlags) error {
	var took [2][]time.Duration // learned, uniform
	var missed [2]int
	for i := range f.compare {
		for side, uniform := range []bool{false, true} {
			one := *h
			one.First, one.Uniform, one.Learned = true, uniform, h.Learned.Clone()
			one.Scenario.Seed = h.Scenario.Seed + uint64(i)*seedsOfAHunt
			t, err := one.Play(ctx, o, func(faultline.Outcome) {})
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return faultline.ErrInterrupted
			}
			after := t.ToFirst
			if t.All.Found == 0 {
				after = f.budget
				missed[side]++
			}
			took[side] = append(took[side], after)
			out.live.Say(fmt.Sprintf("hunt %d, %s: %.0f s in %d runs", i+1, []string{"learned", "uniform"}[side], after.Seconds(), t.All.Runs))
		}
	}
	var ratios []float64
	for i := range took[0] {
		ratios = append(ratios, took[1][i].Seconds()/max(took[0][i].Seconds(), 1e-9))
	}
	slices.Sort(ratios)
	d := output.HuntComparison{Hunts: f.compare, LearnedSeconds: suite.Median(took[0]).Seconds(), UniformSeconds: suite.Median(took[1]).Seconds(),
		LearnedMissed: missed[0], UniformMissed: missed[1], MedianSpeedUp: ratios[(len(ratios)-1)/2], WorstSpeedUp: ratios[0]}
	if out.json {
		out.print("")
		return printJSON(d)
	}
	out.print(fmt.Sprintf("the first violation after %.0f s in the middle with what is learned (%d of %d hunts missed it), %.0f s without (%d missed)\n"+
		"speed-up of hunts with the same first seed: %.2f in the middle, %.2f in the worst\n",
		d.LearnedSeconds, d.LearnedMissed, d.Hunts, d.UniformSeconds, d.UniformMissed, d.MedianSpeedUp, d.WorstSpeedUp))
	return nil
}

// seedsOfAHunt keeps the seeds of several hunts apart.
const seedsOfAHunt = 100_000

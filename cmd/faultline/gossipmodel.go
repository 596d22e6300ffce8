package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker/gossip"
	"faultline/cmd/internal/gossipmodel"
)

func gossipModelCommand() *cobra.Command {
	var (
		question gossipmodel.Question
		timing   string
		settings []string
		want     string
		json     bool
	)
	c := &cobra.Command{
		Use:   "gossip-model",
		Short: "Say how fast a pool of memberlist converges, and which settings do what is wanted",
		Long: "It prints by when something is known, as the formulas bound it and as a model of the protocol has it: an update, a\n" +
			"crash, and what loss alone makes of live members. Nothing is started.\n\n" +
			"With --want it looks for settings that meet it, the cheapest first, and plays the model with them.",
		Example: "  faultline gossip-model --members 100 --loss 0.05 --timing lan --set probe-interval=500ms\n" +
			"  faultline gossip-model --members 100 --loss 0.01 --want detection=5s,false-positives=1/day",
		Args: cobra.NoArgs,
	}
	flags := c.Flags()
	flags.IntVar(&question.Members, "members", 10, "how many members there are")
	flags.Float64Var(&question.Loss, "loss", 0, "the `share` of packets that are lost, in each direction")
	flags.DurationVar(&question.Delay, "delay", time.Millisecond, "how long a packet takes, one way")
	flags.StringVar(&timing, "timing", "lan", "memberlist's defaults to begin with: `lan`, wan or local")
	flags.StringArrayVar(&settings, "set", nil, "a setting, `NAME=VALUE`; may be repeated")
	flags.StringVar(&want, "want", "", "look for settings that `meet` this: detection=5s,false-positives=1/day,dissemination=1s")
	flags.IntVar(&question.Runs, "runs", 0, "how many runs of the model; 0: as many as take about a second")
	flags.Uint64Var(&question.Seed, "seed", 1, "the seed of the model's first run")
	addJSON(flags, &json)
	c.RunE = command(func(c *cobra.Command, _ []string) error {
		t, err := gossip.ParseTiming(timing)
		for _, s := range settings {
			if err == nil {
				err = t.Set(s)
			}
		}
		if err == nil && want != "" {
			var w gossip.Want
			w, err = gossip.ParseWant(want)
			question.Want = &w
		}
		question.Timing = t
		if err := errors.Join(err, question.Validate()); err != nil {
			return &faultline.UsageError{Err: fmt.Errorf("gossip-model: %w", err)}
		}
		answer, err := gossipmodel.Ask(question)
		switch {
		case err != nil:
			return err
		case json:
			return printJSON(answer)
		}
		gossipmodel.Print(c.OutOrStdout(), question, answer)
		return nil
	})
	return c
}

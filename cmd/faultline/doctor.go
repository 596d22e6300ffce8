package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/nemesis"
)

func doctorCommand() *cobra.Command {
	var (
		store string
		deep  bool
	)
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine offers and lacks, and the way out of what it lacks",
		Long: "One runtime is enough, and not every run needs everything: the exit code is 254 only if no runtime is\n" +
			"offered, or if something is lacking that every run needs.\n\n" +
			"With --deep it also tries every fault for real, on two pods that it throws away, and shows what was\n" +
			"asked, what was measured, and what was measured after the heal. A fault that cannot be made is then 254, too.",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&store, "store", "store", "where run directories would be kept")
	c.Flags().BoolVar(&deep, "deep", false, "try every fault on every runtime that this machine offers")
	c.RunE = command(func(c *cobra.Command, _ []string) error {
		findings := faultline.Doctor(c.Context(), store)
		for _, f := range findings {
			mark := "ok  "
			if f.Err != nil {
				mark = "LACK"
			}
			printf("%s  %-22s %s\n", mark, f.What, f.Text())
		}
		failing := faultline.Failing(findings)
		if deep {
			failed, err := tryAll(c.Context())
			if err != nil {
				return err
			}
			failing += failed
		}
		if failing > 0 {
			return &faultline.UsageError{Err: fmt.Errorf("%d things are lacking; the lines above say the way out", failing)}
		}
		return nil
	})
	return c
}

// tryAll tries every fault on every runtime that is offered, and counts what failed.
func tryAll(ctx context.Context) (failed int, err error) {
	for _, line := range faultline.Runtimes() {
		rt := line.Make()
		if rt.Check(ctx) != nil {
			continue // the lines above say so
		}
		printf("\ntrying every fault on %s\n", line.Name)
		deepErr := faultline.DoctorDeep(ctx, rt, func(t nemesis.Trial) {
			mark := "ok  "
			if t.Err != nil {
				mark = "LACK"
				failed++
			}
			if t.Asked == "" {
				printf("%s  %s: not tried; why, stands above with \"all faults, %s\"\n", mark, t.Step.Label(), line.Name)
				return
			}
			printf("%s  %s (%.1f s)\n        asked     %s\n        measured  %s\n        healed    %s\n", mark,
				t.Step.Label(), t.Took.Seconds(), t.Asked, t.Measured, t.Healed)
			if t.Err != nil {
				printf("        %v\n", t.Err)
			}
		})
		err = errors.Join(err, deepErr)
	}
	return failed, err
}

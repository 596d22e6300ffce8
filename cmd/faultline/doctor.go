package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/doctor"
	"faultline/nemesis"
	"faultline/nodes"
)

func doctorCommand() *cobra.Command {
	var (
		store, system string
		deep, json    bool
	)
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Report what this machine offers, what is missing, and how to fix that",
		Long: "One runtime is enough, and not every run needs everything: the exit code is 254 only if no runtime is\n" +
			"offered, or if something is missing that every run needs.\n\n" +
			"With --deep it also tries every fault for real, on two pods that it throws away, and shows what was\n" +
			"asked, what was measured, and what was measured after the heal. A fault that cannot be made is then 254, too.\n\n" +
			"With --system it also looks at the system that a file describes, starts three nodes of it, and does each\n" +
			"operation once, as the file says.",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&store, "store", "store", "where run directories would be kept")
	c.Flags().BoolVar(&deep, "deep", false, "try every fault on every runtime that this machine offers")
	c.Flags().StringVar(&system, "system", "", "look at the system that this `file` describes, and try it")
	addJSON(c.Flags(), &json)
	c.RunE = command(func(c *cobra.Command, _ []string) error {
		findings := doctor.Examine(c.Context(), store)
		if system != "" {
			findings = append(findings, doctor.ExamineSystem(c.Context(), system, allRuntimes()...)...)
		}
		document := examine(findings, !json)
		if deep {
			trials, err := tryAll(c.Context(), !json)
			if err != nil {
				return err
			}
			document.Trials = trials
			document.Failing += failed(trials)
		}
		if json {
			if err := printJSON(document); err != nil {
				return err
			}
		}
		if document.Failing > 0 {
			return &faultline.UsageError{Err: fmt.Errorf("failed checks: %d; each says how to fix it", document.Failing)}
		}
		return nil
	})
	return c
}

// examine makes a document of what was found, and shows it.
func examine(findings []doctor.Finding, show bool) output.Doctor {
	document := output.Doctor{Failing: doctor.Failing(findings)}
	for _, f := range findings {
		document.Findings = append(document.Findings, output.Finding{Name: f.What, OK: f.Err == nil, Need: f.Need.String(), Text: f.Text()})
		if show {
			printf("%s  %-22s %s\n", mark(f.Err), f.What, f.Text())
		}
	}
	return document
}

// allRuntimes are those of the registry, in the order in which auto takes them.
func allRuntimes() (all []nodes.Runtime) {
	for _, line := range faultline.Default().Runtimes {
		all = append(all, line.Make())
	}
	return all
}

func mark(err error) string {
	if err != nil {
		return "FAIL"
	}
	return "ok  "
}

// tryAll tries every fault on every runtime that is offered, and shows each as it ends.
func tryAll(ctx context.Context, show bool) (all []output.Trial, err error) {
	for _, line := range faultline.Default().Runtimes {
		rt := line.Make()
		if rt.Check(ctx) != nil {
			continue // the findings say so
		}
		if show {
			printf("\ntrying every fault on %s\n", line.Name)
		}
		err = errors.Join(err, doctor.TryFaults(ctx, rt, func(t nemesis.Trial) {
			all = append(all, trialDocument(line.Name, t))
			if show {
				showTrial(line.Name, t)
			}
		}))
	}
	return all, err
}

func failed(trials []output.Trial) (n int) {
	for _, t := range trials {
		if !t.OK {
			n++
		}
	}
	return n
}

func showTrial(runtime string, t nemesis.Trial) {
	if t.Asked == "" {
		printf("%s  %s: not tried; the reason is above, at \"all faults, %s\"\n", mark(t.Err), t.Step.Label(), runtime)
		return
	}
	printf("%s  %s (%.1f s)\n        asked     %s\n        measured  %s\n        healed    %s\n", mark(t.Err),
		t.Step.Label(), t.Took.Seconds(), t.Asked, t.Measured, t.Healed)
	if t.Err != nil {
		printf("        %v\n", t.Err)
	}
}

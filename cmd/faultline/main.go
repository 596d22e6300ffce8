// Command faultline breaks clusters on purpose and judges what their clients saw.
//
//	faultline test ci/smoke/partitions.yaml
//	faultline test --topology dc1-5 --nemesis partition,kill --time-limit 2m
//	faultline analyze store/latest
//
// Exit codes are Jepsen's: 0 valid, 1 invalid, 2 unknown, 254 bad arguments or a machine
// that lacks something, 255 the harness failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/checker"
)

const (
	exitValid   = 0
	exitInvalid = 1
	exitUnknown = 2
	exitUsage   = 254
	exitHarness = 255
)

// verdictError carries a verdict that is not valid out of a command.
type verdictError struct{ verdict checker.Verdict }

func (e verdictError) Error() string { return string(e.verdict) }

func verdict(v checker.Verdict) error {
	if v == checker.Valid {
		return nil
	}
	return verdictError{v}
}

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, abort, stop := interrupts()
	defer stop()
	root := &cobra.Command{
		Use:   "faultline",
		Short: "Chaos and verification for systems shaped like Consul",
		Long: "Faultline starts a cluster, breaks it on purpose, writes down everything its clients saw,\n" +
			"and decides from that record alone whether the cluster kept its promises.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(testCommand(abort), proveCommand(abort), analyzeCommand(), scheduleCommand(), listCommand(),
		doctorCommand(), cleanCommand())
	root.SetArgs(args)
	return exitCode(root.ExecuteContext(ctx))
}

func exitCode(err error) int {
	var v verdictError
	switch {
	case err == nil:
		return exitValid
	case errors.As(err, &v) && v.verdict == checker.Invalid:
		return exitInvalid
	case errors.As(err, &v):
		return exitUnknown
	}
	fmt.Fprintln(os.Stderr, "faultline:", err)
	if errors.As(err, new(*faultline.UsageError)) || isCobraUsage(err) {
		return exitUsage
	}
	return exitHarness
}

// harnessError marks what a command's own code returned, so that what is left is
// cobra's word on flags and arguments.
type harnessError struct{ err error }

func (e harnessError) Error() string { return e.err.Error() }
func (e harnessError) Unwrap() error { return e.err }

func isCobraUsage(err error) bool { return !errors.As(err, new(harnessError)) }

// command wraps a command's work so that its errors are told apart from cobra's.
func command(work func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := work(c, args)
		if err == nil || errors.As(err, new(verdictError)) {
			return err
		}
		return harnessError{err}
	}
}

// interrupts gives the contexts that the first and the second Ctrl-C (or SIGTERM) end.
// After the first, faults are healed and what happened is judged; after the second, the
// cluster is only removed. A third one kills, and leaves the rest to faultline clean.
func interrupts() (ctx, abort context.Context, stop func()) {
	ctx, first := context.WithCancel(context.Background())
	abort, second := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "\nfaultline: interrupted; healing, then judging what there is (again: only clean up)")
		first()
		<-signals
		fmt.Fprintln(os.Stderr, "\nfaultline: interrupted again; removing the cluster (again: exit at once)")
		second()
		<-signals
		os.Exit(exitHarness)
	}()
	return ctx, abort, func() { signal.Stop(signals); first(); second() }
}

// Command faultline breaks clusters on purpose and judges what their clients saw.
//
//	faultline test ci/smoke/partitions.yaml
//	faultline test --topology dc1-5 --nemesis partition,kill --time-limit 2m
//	faultline analyze store/latest
//
// Exit codes are Jepsen's: 0 valid, 1 invalid, 2 unknown, 254 bad arguments or a machine
// on which something is missing, 255 the harness failed.
package main

import (
	"errors"
	"fmt"
	"io"
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
	if os.Getenv(envInner) == "" {
		os.Exit(supervise())
	}
	os.Unsetenv(envInner) // it is not for the programs that we start
	syscall.CloseOnExec(declareFD)
	signal.Ignore(syscall.SIGTTOU) // whoever watches us in a terminal sees what we write
	os.Exit(declare(run(os.Args[1:])))
}

func run(args []string) int {
	stop := listen()
	defer stop.close()
	root, err := rootCommand(stop, os.Stdout)
	if err != nil {
		return exitCode(err)
	}
	root.SetArgs(args)
	asked, err := root.ExecuteContextC(stop.ctx)
	if isCobraUsage(err) {
		err = &faultline.UsageError{Err: fmt.Errorf("%w; see %s --help", err, asked.CommandPath())}
	}
	return exitCode(err)
}

func rootCommand(stop *interrupts, out io.Writer) (*cobra.Command, error) {
	root := &cobra.Command{
		Use:   "faultline",
		Short: "Chaos and verification for systems shaped like Consul",
		Long: "Faultline starts a cluster, breaks it on purpose, writes down everything its clients saw,\n" +
			"and decides from that record alone whether the cluster kept its promises.",
		SilenceErrors: true,
		SilenceUsage:  true,

		DisableSuggestions: true, // they take more lines than one

		Version: versionText(version()),
	}
	root.SetOut(out) // before the scripts of shells are bound to it
	root.SetVersionTemplate("{{.Version}}")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(testCommand(stop), proveCommand(stop), repeatCommand(stop), huntCommand(stop), sweepCommand(stop), gossipModelCommand(), shrinkCommand(stop), analyzeCommand(), scheduleCommand(), listCommand(),
		doctorCommand(), cleanCommand(), schemaCommand(), versionCommand())
	root.InitDefaultCompletionCmd()
	return root, completeCommands(root)
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
	complain(err)
	switch {
	case errors.Is(err, faultline.ErrInterrupted):
		return exitUnknown
	case errors.As(err, new(*faultline.UsageError)):
		return exitUsage
	}
	return exitHarness
}

// harnessError marks what a command's own code returned, so that what is left is
// cobra's word on flags and arguments.
type harnessError struct{ err error }

func (e harnessError) Error() string { return e.err.Error() }
func (e harnessError) Unwrap() error { return e.err }

func isCobraUsage(err error) bool {
	return err != nil && !errors.As(err, new(harnessError)) && !errors.As(err, new(verdictError))
}

// command wraps a command's work so that its errors can be distinguished from cobra's.
func command(work func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := work(c, args)
		if err == nil || errors.As(err, new(verdictError)) {
			return err
		}
		return harnessError{err}
	}
}

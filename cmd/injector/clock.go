//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"faultline/nodes/injector/clock"
)

const clockUsage = `usage: injector clock [flags] -- program [arguments]

Runs a program whose clocks are wrong from its first instruction on, and tells on standard
error what they show once it has started. The program is the
process that is started here, not what that one executes in turn: for a script name its
interpreter, for a launcher what it launches.

`

// runClock runs a program under a skew. Its exit code is the program's, 128 and the signal if
// one ended it, badArguments if the flags are bad, and 1 if it cannot run or be skewed.
func runClock(args []string) int {
	setting, program, err := clockArguments(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "injector clock:", err)
		return badArguments
	}
	code, err := underClock(setting, program)
	if err != nil {
		fmt.Fprintln(os.Stderr, "injector clock:", err)
		return 1
	}
	return code
}

func clockArguments(args []string) (s clock.Setting, program []string, err error) {
	flags := pflag.NewFlagSet("clock", pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, clockUsage, flags.FlagUsages())
	}
	flags.DurationVar(&s.Offset, "offset", 0, "the wall clock is ahead by this much, or behind")
	flags.Float64Var(&s.Drift, "drift", 0, "the wall clock gains this many seconds a second; 0.1 is 10 % fast")
	flags.DurationVar(&s.Strobe, "strobe", 0, "every other period the wall clock is ahead by this much more")
	flags.DurationVar(&s.Period, "period", 0, "of the strobe")
	flags.Float64Var(&s.Monotonic, "monotonic", 0, "the monotonic clock gains this many seconds a second: programs may hang")
	flags.DurationVar(&s.Forward, "forward", 0, "the monotonic clock is ahead by this much: programs may hang")
	if err := flags.Parse(args); err != nil {
		return s, nil, err
	}
	if flags.NArg() == 0 {
		return s, nil, errors.New("which program? it comes after --")
	}
	if s.Since, err = clock.Now(); err != nil {
		return s, nil, err
	}
	return s, flags.Args(), s.Check()
}

// underClock runs the program to its end. Signals from a terminal reach the program itself.
func underClock(s clock.Setting, program []string) (code int, err error) {
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	process, err := clock.Start(cmd, s)
	if err != nil {
		return 0, err
	}
	defer process.Close() // was only read
	if err := show(process); err != nil && !errors.Is(err, clock.ErrGone) {
		fmt.Fprintln(os.Stderr, "injector clock:", err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for {
		select {
		case got := <-interrupts:
			if got == syscall.SIGTERM {
				if err := cmd.Process.Signal(got); err != nil && !errors.Is(err, os.ErrProcessDone) {
					return 0, err
				}
			}
		case err := <-over:
			return exitCode(cmd, err)
		}
	}
}

// show tells what the program's clocks show now.
func show(process *clock.Process) error {
	seen, err := process.Read()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "injector clock: wall %+v, monotonic %+v, within %v (patched: %v)\n",
		seen.Wall, seen.Monotonic, seen.Within, seen.Patched)
	return nil
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

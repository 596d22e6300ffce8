//go:build linux

// Command injector is what a pod runs beside its node: see package nodes/injector.
//
//	injector hold DIR PORT RIGHT…
//	                           PID 1 of the pod, whose node keeps its data in DIR and has its API at
//	                           PORT; FAULTLINE_SECRET opens the proxy of that; a right is clock or disk
//	injector probe             what hold starts to try the node's disk: see package nodes/injector/disk
//	injector serve             carries commands from standard input to hold, and answers to standard output
//	injector enter             becomes the node once hold is ready for it
//	injector version           says that it is this program, and which one: see package nodes/programs
//	injector clock …           runs a program under wrong clocks, for people: see package nodes/injector/clock
//
// For clusters without a container engine it is also what makes pods (see package
// nodes/local/space): space, pod and node.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"faultline/nodes/injector"
	"faultline/nodes/injector/disk"
	"faultline/nodes/local/space"
	"faultline/nodes/programs"
)

const badArguments = 254

func main() {
	if len(os.Args) > 1 && os.Args[1] == "clock" {
		os.Exit(runClock(os.Args[2:]))
	}
	if slices.Equal(os.Args[1:], []string{"version"}) {
		fmt.Println(programs.Line("injector"))
		return
	}
	known, err := run(os.Args[1:])
	if !known {
		fmt.Fprintln(os.Stderr, "usage: injector hold DIR PORT [clock] [disk]|serve|enter ARG…|clock|version, or space|pod|node with their arguments")
		os.Exit(badArguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "injector:", err)
		os.Exit(1)
	}
}

func run(args []string) (known bool, err error) {
	switch {
	case len(args) >= 3 && args[0] == "hold":
		port, err := strconv.ParseUint(args[2], 10, 16)
		if err != nil {
			return false, err
		}
		rights, err := injector.ParseRights(args[3:])
		if err != nil {
			return false, err
		}
		return true, hold(args[1], uint16(port), rights)
	case len(args) == 1 && args[0] == injector.ProbeCommand:
		return true, disk.Client()
	case len(args) == 1 && args[0] == "serve":
		return true, injector.Relay(os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == "enter":
		return true, injector.Become()
	}
	return space.Main(args)
}

func hold(dir string, port uint16, rights injector.Rights) error {
	secret, err := injector.ParseSecret(os.Getenv(injector.EnvSecret))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o := injector.Options{Data: dir, Apart: true, Rights: rights}
	return injector.Hold(ctx, o, port, secret)
}

//go:build linux

// Command injector is what a pod runs beside its node: see package nodes/injector.
//
//	injector hold     PID 1 of the pod: reaps zombies and waits
//	injector serve    takes commands on standard input, answers on standard output
//
//	injector clock    runs a program under wrong clocks, for people: see package nodes/injector/clock
//
// For clusters without a container engine it is also what makes pods (see package
// nodes/local/space): space, pod and node.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"faultline/nodes/injector"
	"faultline/nodes/local/space"
)

const badArguments = 254

func main() {
	if len(os.Args) > 1 && os.Args[1] == "clock" {
		os.Exit(runClock(os.Args[2:]))
	}
	known, err := run(os.Args[1:])
	if !known {
		fmt.Fprintln(os.Stderr, "usage: injector hold|serve|clock, or space|pod|node with their arguments")
		os.Exit(badArguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "injector:", err)
		os.Exit(1)
	}
}

func run(args []string) (known bool, err error) {
	if len(args) == 1 {
		switch args[0] {
		case "hold":
			return true, hold()
		case "serve":
			return true, serve()
		}
	}
	return space.Main(args)
}

func hold() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return injector.Hold(ctx)
}

func serve() error {
	pod, err := injector.NewPod(injector.NodePath)
	if err != nil {
		return err
	}
	return errors.Join(injector.Serve(os.Stdin, os.Stdout, pod.Handlers()), pod.Close())
}

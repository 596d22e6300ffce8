//go:build linux

// Command injector is what a pod runs beside its node: see package nodes/injector.
//
//	injector hold     PID 1 of the pod: reaps zombies and waits
//	injector serve    takes commands on standard input, answers on standard output
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"faultline/nodes/injector"
)

const badArguments = 254

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: injector hold|serve")
		os.Exit(badArguments)
	}
	var err error
	switch os.Args[1] {
	case "hold":
		err = hold()
	case "serve":
		err = serve()
	default:
		fmt.Fprintf(os.Stderr, "injector: no command %q: want hold or serve\n", os.Args[1])
		os.Exit(badArguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "injector:", err)
		os.Exit(1)
	}
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

package injector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Hold is what PID 1 of a pod does until ctx ends: it has charge of the pod, and reaps the
// processes that the kernel hands to it because their parents have ended. It waits
// for nobody itself: a process that it starts (package disk) is reaped like all others.
func Hold(ctx context.Context, o Options) error {
	pod, err := NewPod(o)
	if err != nil {
		return err
	}
	over := make(chan error, 2)
	go func() { over <- pod.Listen() }()
	go func() { over <- Reap(ctx, func(int, unix.WaitStatus) error { return nil }) }()
	return errors.Join(<-over, pod.Close())
}

// Reap waits for every child of this process, and tells ended about each, until ctx ends
// or ended fails. Nobody else of this process may wait for
// children whose end matters to ended. What this process
// traces (package clock) the kernel tells it too, stops and all: only ends count.
func Reap(ctx context.Context, ended func(pid int, status unix.WaitStatus) error) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	for {
		if err := reap(ended); err != nil {
			return err
		}
		select {
		case <-children:
		case <-ctx.Done():
			return nil
		}
	}
}

// reap waits for every child that has ended. One signal may stand for many of them.
func reap(ended func(pid int, status unix.WaitStatus) error) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD), err == nil && pid == 0:
			return nil
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		case !status.Exited() && !status.Signaled(): // it has stopped for its tracer
		default:
			if err := ended(pid, status); err != nil {
				return err
			}
		}
	}
}

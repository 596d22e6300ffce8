package injector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Hold is what PID 1 of a pod does until ctx ends, or no control stream has been open for too
// long: it has charge of the pod, which it guards but for the proxy of the node's API at port, and
// reaps the processes that the kernel hands to it because their parents have ended. It waits
// for nobody itself: a process that it starts (package disk) is reaped like all others.
func Hold(ctx context.Context, o Options, port uint16, secret Secret) error {
	o.Guarded = true
	pod, err := NewPod(o)
	if err != nil {
		return err
	}
	h := heldPod{pod: pod, lifeline: newLifeline(firstStreamLimit, nextStreamLimit)}
	err = h.listen(port, secret)
	if err == nil {
		err = h.run(ctx)
	}
	return errors.Join(err, h.close(), pod.Close())
}

// heldPod is where a pod that is held is spoken to.
type heldPod struct {
	pod      *Pod
	lifeline *lifeline
	control  control
	entries  entries
	proxy    proxy
	open     []net.Listener
}

func (h *heldPod) listen(port uint16, secret Secret) error {
	commands, err := listenUnix(controlPath)
	if err != nil {
		return err
	}
	h.open = append(h.open, commands)
	h.control = control{listener: commands, serve: h.pod.Serve, lifeline: h.lifeline}
	asking, err := listenUnix(entryName)
	if err != nil {
		return err
	}
	h.open = append(h.open, asking)
	h.entries = entries{listener: asking, enter: h.pod.enterExpected}
	clients, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: ProxyPort})
	if err != nil {
		return fmt.Errorf("the proxy's port: %w", err)
	}
	h.open = append(h.open, clients)
	h.proxy = proxy{listener: clients, secret: secret, port: port}
	return nil
}

func (h *heldPod) run(ctx context.Context) error {
	over := make(chan error, 5)
	go func() { over <- h.control.run() }()
	go func() { over <- h.entries.run() }()
	go func() { over <- h.proxy.run() }()
	go func() { over <- Reap(ctx, func(int, unix.WaitStatus) error { return nil }) }()
	go func() { <-h.lifeline.snapped; over <- errAbandoned }()
	return <-over
}

func (h *heldPod) close() (err error) {
	for _, l := range h.open {
		err = errors.Join(err, l.Close())
	}
	return err
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

//go:build linux

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
	"faultline/topologies"
	"faultline/workloads/history"
)

// cluster implements nodes.Cluster.
type cluster struct {
	log    *slog.Logger
	claim  claim // of the directory that has the files
	files  files
	rights injector.Rights
	image  pods.Image
	host   *host // nil before it stands
	pods   []*pod
	byName map[string]*pod
	group  *pods.Group
	lives  *pods.Lives
	oom    oomKills

	closing sync.Mutex
	hungUp  bool // control streams are closed
	closed  bool
}

// pod is one node's place.
type pod struct {
	node       topologies.Node
	addr       netip.Addr
	api        netip.AddrPort
	supervisor *supervisor
}

// Endpoint is the node itself, in the cluster's network.
func (c *cluster) Endpoint(node string) nodes.Endpoint {
	return nodes.Endpoint{Node: node, Dial: func(ctx context.Context) (net.Conn, error) {
		p, err := pods.Find(c.byName, node)
		if err != nil {
			return nil, err
		}
		conn, err := c.host.dial(ctx, p.api)
		if errors.Is(err, syscall.ECONNRESET) { // it died as it accepted: nothing has been sent yet, as where it refuses
			return nil, fmt.Errorf("%w (%w)", syscall.ECONNREFUSED, err)
		}
		if err != nil {
			return nil, err // and no connection that is a nil pointer
		}
		return conn, nil
	}}
}

// Set sends every pod its whole desired state.
func (c *cluster) Set(ctx context.Context, want faults.Conditions) error {
	return c.group.Set(ctx, want)
}

// Measure probes every directed link and every process from inside the pods.
func (c *cluster) Measure(ctx context.Context) (faults.Measurement, error) {
	return c.group.Measure(ctx)
}

// Echo makes exchanges from pod to pod.
func (c *cluster) Echo(ctx context.Context, from, to string) (history.Echo, error) {
	return c.group.Echo(ctx, from, to)
}

// Exited waits until the node's process has ended.
func (c *cluster) Exited(ctx context.Context, node string) error {
	p, err := pods.Find(c.byName, node)
	if err != nil {
		return err
	}
	if err := p.supervisor.waitEnd(ctx); err != nil {
		return fmt.Errorf("waiting until %s exits: %w", node, err)
	}
	return nil
}

// Logs copies the node's standard output and standard error, over all its starts.
func (c *cluster) Logs(ctx context.Context, node string, w io.Writer) error {
	if _, err := pods.Find(c.byName, node); err != nil {
		return err
	}
	log, err := os.ReadFile(c.files.log(node))
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err = w.Write(log)
	return err
}

const lastWords = 5 // lines of its log

// died is an error that says how the node's process has ended, if it has.
func (c *cluster) died(p *pod) error {
	now, _ := p.supervisor.look()
	if now.running || now.starting {
		return nil
	}
	if now.broken != nil {
		return fmt.Errorf("the pod of %s: %w", p.node.Name, now.broken)
	}
	log, err := os.ReadFile(c.files.log(p.node.Name))
	lines := slices.Collect(bytes.Lines(bytes.TrimSpace(log)))
	last := bytes.Join(lines[max(0, len(lines)-lastWords):], nil)
	return errors.Join(fmt.Errorf("%s ended as soon as it was started, with %s: %s", p.node.Name, now.ended.How(), last), err)
}

// Close ends everything, and removes the run's directory. If that fails it may be called
// again.
func (c *cluster) Close(ctx context.Context) error {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return nil
	}
	c.lives.Close()
	var errs []error
	if !c.hungUp && c.group != nil {
		c.hungUp = true
		errs = append(errs, c.group.Close())
	}
	if c.host != nil {
		errs = append(errs, c.host.close(ctx))
	}
	if err := c.claim.remove(ctx); err != nil {
		return errors.Join(append(errs, err)...)
	}
	c.closed = true
	return errors.Join(errs...)
}

var _ nodes.Cluster = (*cluster)(nil)

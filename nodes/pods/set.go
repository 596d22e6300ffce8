package pods

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/topologies"
)

const (
	applyLimit  = 15 * time.Second // the injector gives a signal 12 s to take effect
	exitLimit   = 15 * time.Second // for the runtime to notice an exit
	appearLimit = 10 * time.Second // for a started node to execute
	appearPoll  = 2 * time.Millisecond
	launchLimit = 15 * time.Second // for a system to announce a new member
	launchGrace = time.Second
)

// Set sends every pod its whole desired state. Pods take it in parallel, so links that
// end at different nodes change within milliseconds, not at one instant.
func (c *Group) Set(ctx context.Context, want faults.Conditions) error {
	states, err := c.states(want)
	if err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for another change of conditions: %w", context.Cause(ctx))
	}
	c.links.set(want)
	return Each(c.pods, func(p *pod) error {
		err := c.bring(ctx, p, states[p.node.Name])
		if errors.As(err, new(diedError)) && want.Disks[p.node.Name].EndsNodes() {
			c.log.Warn("a node does not run on the disk that it has", "node", p.node.Name, "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s is not as asked: %w", p.node.Name, err)
		}
		return nil
	})
}

// states deals the conditions out to pods, by node: a link is its receiver's business.
func (c *Group) states(want faults.Conditions) (map[string]injector.State, error) {
	states := map[string]injector.State{}
	for _, p := range c.pods {
		name := p.node.Name
		if err := want.Processes[name].Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		states[name] = injector.State{Links: map[netip.Addr]faults.Link{}, Process: want.Processes[name], Peers: c.peers(p),
			Clock: want.Clocks[name], Disk: want.Disks[name]}
	}
	for link, state := range want.Links {
		from, err := Find(c.byName, link.From)
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", link, err)
		}
		to, ok := states[link.To]
		if !ok {
			return nil, fmt.Errorf("link %s: no node %q in this cluster", link, link.To)
		}
		if !state.Healthy() {
			to.Links[from.addr] = state
		}
	}
	for _, names := range []iter.Seq[string]{maps.Keys(want.Processes), maps.Keys(want.Clocks), maps.Keys(want.Disks)} {
		for node := range names {
			if _, err := Find(c.byName, node); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// is reports whether a pod says that this is its process.
func is(r injector.Reply, state faults.ProcessState) bool {
	return r.Process != nil && *r.Process == state
}

func processOf(r injector.Reply) string {
	if r.Process == nil {
		return "untold"
	}
	return cmp.Or(string(*r.Process), "running")
}

// diedError says how a node's process ended that had just been started.
type diedError struct{ error }

func (e diedError) Unwrap() error { return e.error }

// bring makes one pod be as wanted. A node that is absent and should not be is started,
// also if it has ended by itself.
func (c *Group) bring(ctx context.Context, p *pod, want injector.State) error {
	before := p.asked
	p.asked = want.Process
	if want.Process == faults.Wiped {
		p.begun = false
	}
	reply, err := p.control.do(ctx, applyLimit, injector.Request{Apply: &want})
	if err != nil || is(reply, want.Process) {
		return err
	}
	if !is(reply, faults.Killed) || want.Process != faults.Running && want.Process != faults.Paused {
		return fmt.Errorf("its process is %s", processOf(reply))
	}
	if before == faults.Running || before == faults.Paused {
		c.log.Warn("a node has ended by itself; starting it again", "node", p.node.Name)
	}
	return c.start(ctx, p, p.kind(), want)
}

// kind is the kind of the node's next start, which is not its first if the cluster began with it.
func (p *pod) kind() nodes.StartKind {
	switch {
	case p.begun:
		return nodes.Again
	case p.node.Role == topologies.Spare:
		return nodes.Joiner
	}
	return nodes.Fresh
}

// launchOf asks the system how to start a node.
func (c *Group) launchOf(ctx context.Context, p *pod, kind nodes.StartKind) (nodes.Launch, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, launchLimit, fmt.Errorf("its system did not say within %v how to start it", launchLimit))
	defer cancel()
	launch, err := nodes.Bounded(ctx, launchGrace, "Launch of the system", func(ctx context.Context) (nodes.Launch, error) {
		return c.launch(ctx, p.node, kind)
	}, nil)
	if err == nil {
		err = launch.Check()
	}
	if err != nil {
		return launch, fmt.Errorf("how to start %s (%s): %w", p.node.Name, kind, err)
	}
	return launch, nil
}

// start has the runtime start the node, and waits until the pod is as wanted. It is carried
// through even if ctx ends meanwhile: of a start that is cut off nobody knows what it comes to, and
// the next would wait for a node to end that has just begun.
func (c *Group) start(ctx context.Context, p *pod, kind nodes.StartKind, want injector.State) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	launch, err := c.launchOf(ctx, p, kind)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), exitLimit+appearLimit, fmt.Errorf("%s did not start in time", p.node.Name))
	defer cancel()
	if err := p.start(ctx, launch); err != nil {
		return err
	}
	p.begun = true
	for began := time.Now(); ; {
		reply, err := p.control.do(ctx, applyLimit, injector.Request{Apply: &want})
		if err != nil || is(reply, want.Process) {
			return err
		}
		if err := p.died(ctx); err != nil {
			return diedError{err}
		}
		if time.Since(began) > appearLimit {
			return fmt.Errorf("%s was started and is %s after %v", p.node.Name, processOf(reply), appearLimit)
		}
		select {
		case <-time.After(appearPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

package pods

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"time"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/nodes/injector/clock"
	"faultline/nodes/injector/disk"
)

const (
	applyLimit  = 15 * time.Second // the injector gives a signal 12 s to take effect
	exitLimit   = 15 * time.Second // for the runtime to notice an exit
	appearLimit = 10 * time.Second // for a started node to execute
	appearPoll  = 2 * time.Millisecond
)

// shape says in the injector's words what a link does beside dropping and rejecting.
func shape(s faults.Link) injector.Shape {
	queue := s.Queue
	if queue == 0 {
		queue = faults.DefaultQueue
	}
	return injector.Shape{
		Loss:      s.Loss,
		BurstLoss: s.BurstLoss,
		Burst:     s.Burst,
		Rate:      s.Rate,
		Queue:     queue,
		Delay:     s.Delay,
		Jitter:    s.Jitter,
		Scramble:  s.Scramble,
		Reorder:   s.Reorder,
		HoldBack:  faults.HoldBack,
		Duplicate: s.Duplicate,
		Corrupt:   s.Corrupt,
		Seed:      s.Seed,
	}
}

func clockOf(s faults.Clock) clock.Setting {
	return clock.Setting{Offset: s.Offset, Drift: s.Drift, Strobe: s.Strobe, Period: s.Period, Monotonic: s.Monotonic, Forward: s.Forward}
}

func diskOf(s faults.Disk) disk.State {
	return disk.State{Lie: s.Lie, SlowSync: s.SlowSync, Full: s.Full, FailRead: s.FailRead, FailWrite: s.FailWrite, FailSync: s.FailSync}
}

func damagesOf(s faults.Disk) (all []injector.Damage) {
	for _, d := range s.Damages {
		all = append(all, injector.Damage{Kind: string(d.Kind), File: d.File, Draw: d.Draw})
	}
	return all
}

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
	c.links.set(want.Links)
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

var wantProcess = map[faults.ProcessState]injector.Process{
	faults.Running:    injector.Running,
	faults.Paused:     injector.Paused,
	faults.Killed:     injector.Killed,
	faults.PoweredOff: injector.Off,
	faults.Wiped:      injector.Absent,
}

// states deals the conditions out to pods, by node: a link is its receiver's business.
func (c *Group) states(want faults.Conditions) (map[string]injector.State, error) {
	states := map[string]injector.State{}
	for _, p := range c.pods {
		process, ok := wantProcess[want.Processes[p.node.Name]]
		if !ok {
			return nil, fmt.Errorf("%s: no process state %q", p.node.Name, want.Processes[p.node.Name])
		}
		damaged := want.Disks[p.node.Name]
		states[p.node.Name] = injector.State{Process: process, Peers: c.peers(p), Clock: clockOf(want.Clocks[p.node.Name]),
			Disk: diskOf(damaged), Torn: damaged.Torn, Names: disk.Names(damaged.Names.String()), Damages: damagesOf(damaged)}
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
		switch {
		case state.Drop:
			to.Drop = append(to.Drop, from.addr)
		case state.Reject:
			to.Reject = append(to.Reject, from.addr)
		}
		if state.Shaped() {
			if to.Shape == nil {
				to.Shape = map[netip.Addr]injector.Shape{}
			}
			to.Shape[from.addr] = shape(state)
		}
		states[link.To] = to
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

// diedError says how a node's process ended that had just been started.
type diedError struct{ error }

func (e diedError) Unwrap() error { return e.error }

// bring makes one pod be as wanted. A node that is absent and should not be is started,
// also if it has ended by itself.
func (c *Group) bring(ctx context.Context, p *pod, want injector.State) error {
	before := p.asked
	p.asked = want.Process
	reply, err := p.control.do(ctx, applyLimit, injector.Request{Apply: &want})
	if err != nil || reply.Process == want.Process {
		return err
	}
	if reply.Process != injector.Killed || want.Process != injector.Running && want.Process != injector.Paused {
		return fmt.Errorf("its process is %s", reply.Process)
	}
	if before == injector.Running || before == injector.Paused {
		c.log.Warn("a node has ended by itself; starting it again", "node", p.node.Name)
	}
	return c.start(ctx, p, want)
}

// start has the runtime start the node, and waits until the pod is as wanted. It is carried
// through even if ctx ends meanwhile: of a start that is cut off nobody knows what it comes to, and
// the next would wait for a node to end that has just begun.
func (c *Group) start(ctx context.Context, p *pod, want injector.State) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), exitLimit+appearLimit, fmt.Errorf("%s did not start in time", p.node.Name))
	defer cancel()
	if err := p.start(ctx); err != nil {
		return err
	}
	for began := time.Now(); ; {
		reply, err := p.control.do(ctx, applyLimit, injector.Request{Apply: &want})
		if err != nil || reply.Process == want.Process {
			return err
		}
		if err := p.died(ctx); err != nil {
			return diedError{err}
		}
		if time.Since(began) > appearLimit {
			return fmt.Errorf("%s was started and is %s after %v", p.node.Name, reply.Process, appearLimit)
		}
		select {
		case <-time.After(appearPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

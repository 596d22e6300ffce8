// Package pods is what the runtimes share whose nodes live in pods (docker, local): how
// conditions become the desired states of injectors, how probes become a measurement, the
// control streams, the record of what became of the nodes' processes (Lives), whose process
// answers for what was left, and the injector's binary.
//
// A runtime makes the pods, in its own way, and a Group of them has the Set and the Measure
// of a nodes.Cluster:
//
//	group := pods.NewGroup(log, launch, []pods.Member{{Node: n, Addr: addr, Open: …, Start: …, Died: …}})
//	err := group.Begin(ctx, n.Name, spec.Baseline)
//	err = group.Set(ctx, conditions)
//
// What a run asks for decides what its pods may do (RightsFor): a loss of power and all faults of
// disks take the right to disks, faults of clocks that to clocks. A node that a Set finds ended
// and wants to run is started by the runtime, and passes through the injector before its first instruction.
// A control stream that breaks is opened again at once, since a pod without one may end (package injector).
//
// It is not for what happens inside a pod: that is package injector.
package pods

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/topologies"
)

// Member is a pod as its runtime made it.
type Member struct {
	Node topologies.Node
	Addr netip.Addr
	// Open starts the pod's injector, and is its standard input and output. It is called
	// again when the stream broke.
	Open func(context.Context) (io.ReadWriteCloser, error)
	// Start starts the node's process, as soon as its last one has been seen to end.
	Start func(context.Context, nodes.Launch) error
	// Died is an error that says how the node's process has ended, if it has.
	Died func(context.Context) error
}

// Capabilities lists the conditions that the injector of a pod can make true: all.
func Capabilities() []faults.Capability { return faults.Capabilities() }

// Group is all pods of a cluster. Its methods may be called by many goroutines.
type Group struct {
	log    *slog.Logger
	launch Launcher
	pods   []*pod
	byName map[string]*pod

	turn  chan struct{} // holds one value while a Set is at work
	nonce atomic.Uint64 // of the last Measure
	links closer
}

type pod struct {
	node    topologies.Node
	addr    netip.Addr
	control *control
	start   func(context.Context, nodes.Launch) error
	died    func(context.Context) error
	asked   faults.ProcessState // by the last Set; belongs to whose turn it is
	begun   bool                // a process has been started on the disk that it has now
}

// Launcher says how a node's process is started (nodes.System).
type Launcher func(ctx context.Context, node topologies.Node, kind nodes.StartKind) (nodes.Launch, error)

// NewGroup makes a group of pods none of whose nodes has been started.
func NewGroup(log *slog.Logger, launch Launcher, members []Member) *Group {
	c := &Group{log: log, launch: launch, byName: map[string]*pod{}, turn: make(chan struct{}, 1)}
	for _, m := range members {
		p := &pod{node: m.Node, addr: m.Addr, start: m.Start, died: m.Died,
			control: newControl(log.With("node", m.Node.Name), m.Open), asked: faults.Killed}
		c.pods = append(c.pods, p)
		c.byName[m.Node.Name] = p
	}
	return c
}

// Open opens the control stream of a pod, if it does not stand.
func (c *Group) Open(ctx context.Context, node string) error {
	p, err := Find(c.byName, node)
	if err != nil {
		return err
	}
	_, err = p.control.client(ctx)
	return err
}

// Begin starts a node for the first time, in the conditions of the baseline, unless that has
// it not run: then it is its pod that begins.
func (c *Group) Begin(ctx context.Context, node string, baseline faults.Conditions) error {
	p, err := Find(c.byName, node)
	if err != nil {
		return err
	}
	states, err := c.states(baseline)
	if err != nil {
		return err
	}
	c.links.set(baseline)
	state := states[node]
	if _, err := p.control.do(ctx, applyLimit, injector.Request{Apply: &state}); err != nil {
		return fmt.Errorf("the pod of %s: %w", node, err)
	}
	if baseline.Processes[node].Ended() {
		return nil
	}
	p.asked = state.Process
	return c.start(ctx, p, nodes.Founder, state)
}

// Expect has a pod let the next process enter that asks to (see injector.Become). A runtime whose
// nodes ask says so, and what it is to execute, right before it starts one, when all processes of the
// last have ended.
func (c *Group) Expect(ctx context.Context, node string, launch nodes.Launch) error {
	p, err := Find(c.byName, node)
	if err != nil {
		return err
	}
	_, err = p.control.do(ctx, applyLimit, injector.Request{Expect: &injector.Expect{Launch: launch}})
	return err
}

// settle is how long a node that dislikes its arguments takes to end, as a rule.
const settle = 50 * time.Millisecond

// Settle looks at all nodes once more, a moment after they began: it is an error that one of
// them has ended.
func (c *Group) Settle(ctx context.Context) error {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return Each(c.pods, func(p *pod) error {
		if p.asked != faults.Running {
			return nil // not begun
		}
		return p.died(ctx)
	})
}

// Ask puts a request of the caller's own to a pod's injector, for benchmarks of it. A
// nonce of a probe must be above 1<<32: those below are Measure's.
func (c *Group) Ask(ctx context.Context, node string, r injector.Request) (injector.Reply, error) {
	p, err := Find(c.byName, node)
	if err != nil {
		return injector.Reply{}, err
	}
	return p.control.do(ctx, probeLimit, r)
}

// HangUp closes all control streams; they are opened again, as those are that break.
func (c *Group) HangUp() error { return c.hangUp(false) }

// Close closes all control streams for good.
func (c *Group) Close() error { return c.hangUp(true) }

func (c *Group) hangUp(forGood bool) error {
	var errs []error
	for _, p := range c.pods {
		errs = append(errs, p.control.hangUp(forGood))
	}
	return errors.Join(errs...)
}

// Find is the pod of a node.
func Find[P any](byName map[string]*P, node string) (*P, error) {
	p := byName[node]
	if p == nil {
		return nil, fmt.Errorf("no node %q in this cluster", node)
	}
	return p, nil
}

// Heard is a spec whose Log and Progress are there to be called.
func Heard(spec nodes.Spec) nodes.Spec {
	if spec.Log == nil {
		spec.Log = slog.New(slog.DiscardHandler)
	}
	if spec.Progress == nil {
		spec.Progress = func(string) {}
	}
	return spec
}

// Each runs f for all items at once and joins the errors; a panic of f is one.
func Each[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var work sync.WaitGroup
	for i, item := range items {
		work.Go(func() { errs[i] = nodes.Guard("the work on a pod", func() error { return f(item) }) })
	}
	work.Wait()
	return errors.Join(errs...)
}

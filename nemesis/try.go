package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Trial is a fault that was tried once, by itself and without clients, to see whether a
// machine can make it true.
type Trial struct {
	Step     Step
	Asked    string // what was to become true, in words; "" if it could not be tried
	Measured string
	Healed   string // what was measured after the heal
	Took     time.Duration
	Err      error // why it is not proved, or not healed
}

// Trials are steps that together ask for every condition that a runtime can have, once.
// They hit the first server of the topology.
func Trials(t topologies.Topology) []Step {
	first := Names(t.Servers()[0].Name)
	steps := []Step{
		{Fault: "partition"},
		{Fault: "partition", OneWay: In},
		{Fault: "partition", OneWay: Out},
		{Fault: "partition", Reject: true, OneWay: Out},
		{Fault: "link", Link: faults.Link{Loss: 0.2}},
		{Fault: "link", Link: faults.Link{BurstLoss: 0.2, Burst: 5}},
		{Fault: "link", Link: faults.Link{Delay: 40 * time.Millisecond, Jitter: 10 * time.Millisecond}},
		{Fault: "link", Link: faults.Link{Rate: 250_000}},
		{Fault: "link", Link: faults.Link{Reorder: 0.25}},
		{Fault: "link", Link: faults.Link{Duplicate: 0.2}},
		{Fault: "link", Link: faults.Link{Corrupt: 0.1}},
		{Fault: "pause"},
		{Fault: "kill"},
		{Fault: "clock", Clock: faults.Clock{Offset: -time.Hour}},
		{Fault: "clock", Clock: faults.Clock{Offset: time.Minute, Drift: 0.5}},
		{Fault: "clock", Clock: faults.Clock{Strobe: 10 * time.Second, Period: 10 * time.Millisecond}},
		{Fault: "clock", Clock: faults.Clock{Monotonic: 0.5}},
		{Fault: "clock", Clock: faults.Clock{Forward: time.Minute}},
		{Fault: "disk", Disk: faults.Disk{SlowSync: 20 * time.Millisecond}},
		{Fault: "disk", Disk: faults.Disk{Lie: true}},
		{Fault: "disk", Disk: faults.Disk{FailSync: true}},
		{Fault: "disk", Disk: faults.Disk{FailRead: true}},
		{Fault: "disk", Disk: faults.Disk{FailWrite: true}},
		{Fault: "disk", Disk: faults.Disk{Full: true}},
		{Fault: "bit-flip", File: "raft/*"},
		{Fault: "truncate", File: "raft/*"},
		{Fault: "power-loss"},
		{Fault: "power-loss", Names: faults.NamesPOSIX.String()},
		{Fault: "replace"},
	}
	for i := range steps {
		steps[i].Target, steps[i].For = first, time.Second
	}
	return steps
}

// Try makes a step's conditions true, proves them, heals and proves that. The step's
// times mean nothing; its fault must be one that is all conditions and no action.
func Try(ctx context.Context, s Step, w World) (t Trial) {
	began := time.Now()
	defer func() { t.Took = time.Since(began) }()
	t.Step = s
	fault, err := s.check(w.Topology)
	if err != nil {
		t.Err = err
		return t
	}
	// What tells of the system, before and after, is left out: there may be none that works.
	if fault.Edit == nil || fault.Before != nil && fault.Name != replace.Name || fault.After != nil || fault.Heal != nil || fault.Work != nil {
		t.Err = fmt.Errorf("%s is not tried by itself: it does more than set conditions", s.Fault)
		return t
	}
	alone := fault.alone(w.Topology, s)
	p := newPlayer(w)
	t.Asked = brokenWords(alone)
	base := w.Topology.Baseline()
	measured, err := p.bring(ctx, sum(w.Topology, []Step{s}))
	t.Measured = seenWords(alone, measured)
	if err != nil {
		t.Err = fmt.Errorf("not proved: %w", err)
	}
	measured, err = p.bring(ctx, base)
	t.Healed = seenWords(alone, measured)
	if err != nil {
		t.Err = errors.Join(t.Err, fmt.Errorf("not healed: %w", err))
	}
	return t
}

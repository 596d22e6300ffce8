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
	Err      error // why it did not show, or was not healed
}

// Trials are steps that together ask for every condition that a runtime can have, once.
// They hit the first server of the topology.
func Trials(t topologies.Topology) []Step {
	first := Names(t.Servers()[0].Name)
	var steps []Step
	for _, f := range []Fault{
		Partition{},
		Partition{OneWay: In},
		Partition{OneWay: Out},
		Partition{Reject: true, OneWay: Out},
		Link{Link: faults.Link{Ports: "8302"}},
		Link{Link: faults.Link{Loss: 0.2}},
		Link{Link: faults.Link{BurstLoss: 0.2, Burst: 5}},
		Link{Link: faults.Link{Delay: 40 * time.Millisecond, Jitter: 10 * time.Millisecond}},
		Link{Link: faults.Link{Rate: 250_000}},
		Link{Link: faults.Link{Reorder: 0.25}},
		Link{Link: faults.Link{Duplicate: 0.2}},
		Link{Link: faults.Link{Corrupt: 0.1}},
		Pause{},
		Kill{},
		Clock{Clock: faults.Clock{Offset: -time.Hour}},
		Clock{Clock: faults.Clock{Offset: time.Minute, Drift: 0.5}},
		Clock{Clock: faults.Clock{Strobe: 10 * time.Second, Period: 10 * time.Millisecond}},
		Clock{Clock: faults.Clock{Monotonic: 0.5}},
		Clock{Clock: faults.Clock{Forward: time.Minute}},
		Disk{Disk: faults.Disk{SlowSync: 20 * time.Millisecond}},
		Disk{Disk: faults.Disk{SlowIO: 20 * time.Millisecond}},
		Disk{Disk: faults.Disk{Lie: true}},
		Disk{Disk: faults.Disk{FailSync: true}},
		Disk{Disk: faults.Disk{FailRead: true}},
		Disk{Disk: faults.Disk{FailWrite: true}},
		Disk{Disk: faults.Disk{Full: true}},
		BitFlip{damage{File: "raft/*"}},
		Truncate{damage{File: "raft/*"}},
		PowerLoss{},
		PowerLoss{Names: faults.NamesPOSIX.String()},
		Replace{},
	} {
		steps = append(steps, Step{Fault: f, Target: first, For: time.Second})
	}
	return steps
}

// Try makes a step's conditions true, measures them, heals and measures that. The step's
// times mean nothing; its fault must be one that is all conditions and no action.
func Try(ctx context.Context, s Step, w World) (t Trial) {
	began := time.Now()
	defer func() { t.Took = time.Since(began) }()
	t.Step = s
	if t.Err = s.check(w.Topology); t.Err != nil {
		return t
	}
	// What a heal brings back in the system (Rejoined) is left out: there may be none that works.
	acts := actsOf(s.Fault)
	if _, ok := s.Fault.(State); !ok || acts.Before != nil || acts.After != nil || acts.Heal != nil || acts.Work != nil {
		t.Err = fmt.Errorf("%s is not tried by itself: it does more than set conditions", s.Name())
		return t
	}
	alone := s.alone(w.Topology)
	p := newPlayer(w)
	t.Asked = alone.Words()
	seen := p.reconcile(ctx, sum(w.Topology, []Step{s}))
	t.Measured = seen.measured().WordsOf(alone)
	if err := seen.err(); err != nil {
		t.Err = fmt.Errorf("not measured: %w", err)
	}
	seen = p.reconcile(ctx, w.Topology.Baseline())
	t.Healed = seen.measured().WordsOf(alone)
	if err := seen.err(); err != nil {
		t.Err = errors.Join(t.Err, fmt.Errorf("not healed: %w", err))
	}
	return t
}

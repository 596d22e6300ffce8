package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"faultline/topologies"
)

// actWithin bounds one action on a leader: several elections of a slow machine.
const actWithin = 15 * time.Second

// pollEvery is the pause between two looks at something that is about to change.
const pollEvery = 100 * time.Millisecond

// errStill is what the last look saw if it saw nothing wrong but the awaited not yet.
var errStill = errors.New("not yet")

// waitForLeader waits until a node for which fits is true leads, and returns it.
func waitForLeader(ctx context.Context, w World, what string, fits func(leader string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	last := errStill
	for {
		leader, err := w.leader(ctx)
		switch {
		case err == nil && fits(leader):
			return leader, nil
		case err == nil:
			last = fmt.Errorf("%s leads", leader)
		case ctx.Err() == nil:
			last = err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return "", fmt.Errorf("waited for %s: %w (last: %w)", what, err, last)
		}
	}
}

// ensureLeader makes a node lead if another does, so that a schedule which names the leader
// of an earlier run replays.
func ensureLeader(ctx context.Context, w World, node string) error {
	leader, err := w.leader(ctx)
	if err != nil {
		return fmt.Errorf("no leader: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	for leader != node {
		if _, leader, _, err = askToHandOver(ctx, w, leader, node); err != nil {
			return fmt.Errorf("%s was to lead first: %w", node, err)
		}
	}
	return nil
}

// namedServers is the Nodes of faults that hit the servers that a step names.
type namedServers struct{}

func (namedServers) Nodes(_ topologies.Topology, s Step) []string {
	return slices.Clone(s.Target.Names)
}

// oneOf refuses steps that do not hit one server, among at least so many.
func oneOf(servers int, t topologies.Topology, s Step) error {
	if err := serversOnly(t, s); err != nil {
		return err
	}
	if len(s.Target.Names) > 1 {
		return fmt.Errorf("%s takes one node, not %s", s.Name(), s.Target)
	}
	if n := len(t.Servers()); n < servers {
		return fmt.Errorf("%s needs %d servers; %s has %d", s.Name(), servers, t.Name, n)
	}
	return nil
}

func serversOnly(t topologies.Topology, s Step) error {
	for _, name := range s.Target.Names {
		if n, ok := t.Node(name); ok && n.Role == topologies.Client {
			return fmt.Errorf("%s takes servers, and %s is a client agent", s.Name(), name)
		}
	}
	return nil
}

// sleep returns early, with the reason, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

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

// leaderWho waits until a node for which fits is true leads, and returns it.
func leaderWho(ctx context.Context, w World, what string, fits func(leader string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	last := errStill
	for {
		leader, err := w.Leader(ctx)
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

// enthrone makes a node lead if another does, so that a schedule which names the leader
// of an earlier run replays.
func enthrone(ctx context.Context, w World, node string) error {
	leader, err := w.Leader(ctx)
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

// oneOf is the Suits of faults that hit whoever leads, among at least so many servers.
func oneOf(servers int) func(topologies.Topology, Step) error {
	return func(t topologies.Topology, s Step) error {
		if err := serversOnly(t, s); err != nil {
			return err
		}
		if len(s.Target.Names) > 1 {
			return fmt.Errorf("%s takes one node, not %s", s.Fault, s.Target)
		}
		if n := len(t.Servers()); n < servers {
			return fmt.Errorf("%s needs %d servers; %s has %d", s.Fault, servers, t.Name, n)
		}
		return nil
	}
}

func serversOnly(t topologies.Topology, s Step) error {
	for _, name := range s.Target.Names {
		if n, ok := t.Node(name); ok && n.Role == topologies.Client {
			return fmt.Errorf("%s takes servers, and %s is a client agent", s.Fault, name)
		}
	}
	return nil
}

// namedNodes is the Nodes of faults that hit whom the step names.
func namedNodes(_ topologies.Topology, s Step) []string { return slices.Clone(s.Target.Names) }

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

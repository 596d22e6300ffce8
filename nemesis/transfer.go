package nemesis

import (
	"context"
	"errors"
	"fmt"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Transfer moves leadership.
type Transfer struct{ namedServers }

func (Transfer) Kind() Kind {
	return Kind{
		Name:   "transfer",
		Family: "transfer",
		Doc: "Makes the leader hand leadership over to another server. A node that is named " +
			"is made the leader first, if it is not.",
		Targets:     []string{Primary},
		NeedsLeader: true,
		Asks:        []history.Ability{history.TransfersLeader},
		Momentary:   true,
		Asked:       func(targets []string) string { return "leadership moves away from " + targets[0] },
	}
}

func (Transfer) Validate(t topologies.Topology, s Step) error { return oneOf(2, t, s) }

func (Transfer) Acts() Acts { return Acts{Before: handOver} }

// handOver counts as done when another node leads, in a later term: an answer of the old
// leader alone shows nothing.
func handOver(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	from := targets[0]
	if err := ensureLeader(ctx, w, from); err != nil {
		return Seen{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	for {
		before, to, after, err := askToHandOver(ctx, w, from, "")
		if err != nil {
			return Seen{}, err
		}
		if to != from {
			return found(faults.Finding{About: "leader", Want: faults.Lacks, Names: []string{from}, Got: []string{to},
				Words: fmt.Sprintf("%s leads in term %d, %s did in %d", to, after, from, before)},
				faults.Finding{About: "term", Want: faults.AtLeast, Least: before + 1, Count: after}), nil
		}
	}
}

// askToHandOver asks a leader to hand over, to a node or to anybody, and waits for what comes of
// it: who leads in which later term. That may be the same leader again. Whoever was handed
// the leadership has to be elected, and others may be quicker.
func askToHandOver(ctx context.Context, w World, from, to string) (before uint64, leader string, after uint64, err error) {
	seen, err := w.Conn(from).Observe(ctx)
	if err != nil {
		return 0, "", 0, fmt.Errorf("%s does not tell its term: %w", from, err)
	}
	leaders, ok := nodes.AsLeaders(w.Conn(from))
	if !ok {
		return 0, "", 0, errors.New("clients of this system cannot hand leadership over")
	}
	if err := leaders.Transfer(ctx, to); err != nil {
		return 0, "", 0, fmt.Errorf("%s leads and did not hand over: %w", from, err)
	}
	leader, err = waitForLeader(ctx, w, fmt.Sprintf("a leader of a later term than %d", seen.Term), func(l string) bool {
		now, err := w.Conn(l).Observe(ctx)
		after = now.Term
		return err == nil && now.Term > seen.Term
	})
	return seen.Term, leader, after, err
}

package nemesis

import (
	"context"
	"fmt"
)

var transfer = Fault{
	Name:   "transfer",
	Family: "transfer",
	Doc: "Makes the leader hand leadership over to another server. A node that is named " +
		"is made the leader first, if it is not.",
	Targets:   []string{Primary},
	Momentary: true,
	Suits:     oneOf(2),
	Nodes:     namedNodes,
	Asked:     func(hit []string) string { return "leadership moves away from " + hit[0] },
	Before:    handOver,
}

// handOver counts as done when another node leads, in a later term: an answer of the old
// leader alone proves nothing.
func handOver(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	from := hit[0]
	if err := enthrone(ctx, w, from); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	for {
		before, to, after, err := askToHandOver(ctx, w, from, "")
		if err != nil {
			return "", err
		}
		if to != from {
			return fmt.Sprintf("%s leads in term %d, %s did in %d", to, after, from, before), nil
		}
	}
}

// askToHandOver asks a leader to hand over, to a node or to anybody, and waits for what comes of
// it: who leads in which later term. That may be the same leader again. Whoever was handed
// the leadership has to be elected, and others may be quicker.
func askToHandOver(ctx context.Context, w World, from, to string) (before uint64, leader string, after uint64, err error) {
	seen, err := w.Client(from).Observe(ctx)
	if err != nil {
		return 0, "", 0, fmt.Errorf("%s does not tell its term: %w", from, err)
	}
	if err := w.Client(from).Transfer(ctx, to); err != nil {
		return 0, "", 0, fmt.Errorf("%s leads and did not hand over: %w", from, err)
	}
	leader, err = leaderWho(ctx, w, fmt.Sprintf("a leader of a later term than %d", seen.Term), func(l string) bool {
		now, err := w.Client(l).Observe(ctx)
		after = now.Term
		return err == nil && now.Term > seen.Term
	})
	return seen.Term, leader, after, err
}

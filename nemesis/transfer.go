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
	before, err := w.Client(from).Observe(ctx)
	if err != nil {
		return "", fmt.Errorf("%s does not tell its term: %w", from, err)
	}
	if err := w.Client(from).Transfer(ctx, ""); err != nil {
		return "", fmt.Errorf("%s did not hand over: %w", from, err)
	}
	to, err := leaderWho(ctx, w, "another than "+from+" to lead", func(l string) bool { return l != from })
	if err != nil {
		return "", err
	}
	after, err := w.Client(to).Observe(ctx)
	if err != nil {
		return "", fmt.Errorf("%s leads but does not tell its term: %w", to, err)
	}
	seen := fmt.Sprintf("%s leads in term %d, %s did in %d", to, after.Term, from, before.Term)
	if after.Term <= before.Term {
		return seen, fmt.Errorf("the term did not rise")
	}
	return seen, nil
}

package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes/faults"
)

var remove = Fault{
	Name:   "remove",
	Family: "remove",
	Doc: "Servers are killed, and an operator removes them from the peer set while they are down; at the heal they start " +
		"again with their disks, and are taken in again.",
	Targets:   []string{One, Primary},
	Drawn:     []string{One},
	Options:   []string{"below-majority"},
	Needs:     []faults.Capability{faults.ProcessKill},
	Takes:     true,
	Suits:     serversOnly,
	Nodes:     processNodes,
	Edit:      inState(faults.Killed),
	Asked:     func(hit []string) string { return strings.Join(hit, ", ") + " killed, and no peers any more" },
	AskedHeal: func(hit []string) string { return strings.Join(hit, ", ") + " running, and voters" },
	After:     removePeers,
	Rejoined:  votersAgain,
}

// removePeers takes the peer set that is read back for the proof.
func removePeers(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	leader, err := leaderWho(ctx, w, "another to lead", func(l string) bool { return !slices.Contains(hit, l) })
	if err != nil {
		return "", err
	}
	op, err := operator(w, leader)
	if err != nil {
		return "", err
	}
	peers, err := op.Peers(ctx)
	if err != nil {
		return "", fmt.Errorf("%s does not tell the peer set: %w", leader, err)
	}
	for _, p := range peers {
		if slices.Contains(hit, p.Node) {
			if err := op.RemovePeer(ctx, p.ID); err != nil {
				return "", fmt.Errorf("%s did not remove %s: %w", leader, p.Node, err)
			}
		}
	}
	return awaitGone(ctx, w, hit)
}

// awaitGone waits until the peer set lacks the nodes, and tells what it is.
func awaitGone(ctx context.Context, w World, gone []string) (string, error) {
	var left []string
	err := until(ctx, func() error {
		peers, err := peersOf(ctx, w)
		if err != nil {
			return err
		}
		left = nil
		for _, p := range peers {
			left = append(left, p.Node)
			if slices.Contains(gone, p.Node) {
				return fmt.Errorf("%s is still a peer", p.Node)
			}
		}
		return nil
	})
	slices.Sort(left)
	if err != nil {
		return "", err
	}
	return "the peers are " + strings.Join(left, ", "), nil
}

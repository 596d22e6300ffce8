package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Remove takes servers that are down out of the peer set.
type Remove struct {
	onProcesses
	BelowMajority
}

func (Remove) Kind() Kind {
	return Kind{
		Name:   "remove",
		Family: "remove",
		Doc: "Servers are killed, and an operator removes them from the peer set while they are down; at the heal they start " +
			"again with their disks, and are taken in again.",
		Targets:       andRoles(One),
		Drawn:         []string{One},
		Needs:         []faults.Capability{faults.ProcessKill},
		RemovesVoters: true,
		Asks:          []history.Ability{history.ChangesMembers},
		Asked:         func(targets []string) string { return strings.Join(targets, ", ") + " killed, and no peers any more" },
		AskedHeal:     func(targets []string) string { return strings.Join(targets, ", ") + " running, and voters" },
	}
}

func (Remove) Validate(t topologies.Topology, s Step) error { return serversOnly(t, s) }

func (r Remove) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(r.Nodes(t, s), faults.Killed)
}

func (r Remove) Acts() Acts { return Acts{After: removePeers, Rejoined: r.awaitVotes} }

// removePeers removes servers, and reads the peer set back.
func removePeers(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	leader, err := waitForLeader(ctx, w, "another to lead", func(l string) bool { return !slices.Contains(targets, l) })
	if err != nil {
		return Seen{}, err
	}
	op, err := membersOf(w, leader)
	if err != nil {
		return Seen{}, err
	}
	peers, err := op.Peers(ctx)
	if err != nil {
		return Seen{}, fmt.Errorf("%s does not tell the peer set: %w", leader, err)
	}
	for _, p := range peers {
		if slices.Contains(targets, p.Node) {
			if err := op.RemovePeer(ctx, p.ID); err != nil {
				return Seen{}, fmt.Errorf("%s did not remove %s: %w", leader, p.Node, err)
			}
		}
	}
	return awaitGone(ctx, w, targets)
}

// awaitGone waits until the peer set lacks the nodes.
func awaitGone(ctx context.Context, w World, gone []string) (Seen, error) {
	seen := faults.Finding{About: "peers", Want: faults.Lacks, Names: gone}
	err := until(ctx, func() error {
		peers, err := peersOf(ctx, w)
		if err != nil {
			return err
		}
		seen.Got = nil
		for _, p := range peers {
			seen.Got = append(seen.Got, p.Node)
		}
		for _, p := range seen.Got {
			if slices.Contains(gone, p) {
				return fmt.Errorf("%s is still a peer", p)
			}
		}
		return nil
	})
	slices.Sort(seen.Got)
	if err == nil {
		seen.Words = "the peers are " + strings.Join(seen.Got, ", ")
	}
	return found(seen), err
}

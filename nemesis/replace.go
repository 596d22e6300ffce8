package nemesis

import (
	"context"
	"fmt"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Replace puts new machines in the places of servers. It is shown by the machine that is gone
// with all its data, which the runtime measures, and by the newcomer that votes. Whether it
// votes under an identity of its own is the system's affair: the history tells it, and what
// comes of it is for checkers.
type Replace struct {
	onProcesses
	BelowMajority
}

func (Replace) Kind() Kind {
	return Kind{
		Name:   "replace",
		Family: "replace",
		Doc: "Servers break for good: they are killed and their disks are gone; at the heal new machines start at the same " +
			"addresses, with nothing, and join.",
		Targets:       andRoles(One),
		Drawn:         []string{One},
		Needs:         []faults.Capability{faults.ProcessAbsent},
		RemovesVoters: true,
		Asks:          []history.Ability{history.ChangesMembers},
	}
}

func (Replace) Validate(t topologies.Topology, s Step) error { return serversOnly(t, s) }

func (r Replace) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(r.Nodes(t, s), faults.Wiped)
}

func (r Replace) Acts() Acts { return Acts{Note: identities, Rejoined: r.awaitVotes} }

// identities says who servers are before they are gone, as far as they tell.
func identities(ctx context.Context, w World, targets []string) string {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var words []string
	for _, node := range targets {
		if op, err := membersOf(w, node); err == nil {
			if id, err := op.Identity(ctx); err == nil {
				words = append(words, fmt.Sprintf("%s was %s", node, short(id)))
			}
		}
	}
	return strings.Join(words, ", ")
}

// awaitVotes waits until whoever is at work in the nodes' places now votes. A cluster that
// has lost its majority cannot give anybody a vote, so there it waits for answers alone.
func (b BelowMajority) awaitVotes(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	seen := faults.Finding{About: "voters", Want: faults.Has, Names: targets}
	verb := "votes"
	if b.BelowMajority {
		seen.About, verb = "who answers", "answers"
	}
	var words []string
	for _, node := range targets {
		id, err := awaitPeer(ctx, w, node, !b.BelowMajority)
		if err != nil {
			return found(seen), err
		}
		seen.Got = append(seen.Got, node)
		words = append(words, fmt.Sprintf("%s %s as %s", node, verb, short(id)))
		seen.Words = strings.Join(words, ", ")
	}
	if len(targets) == 0 {
		return Seen{}, nil
	}
	return found(seen), nil
}

package nemesis

import (
	"context"
	"fmt"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Join has spare servers join for a while.
type Join struct{ BelowMajority }

func (Join) Kind() Kind {
	return Kind{
		Name:   "join",
		Family: "join",
		Doc: "Spare servers start, with nothing, and join; at the heal they leave gracefully and are gone, with their disks. " +
			"Beside remove, a server is replaced by one at another address.",
		Targets:    []string{Spare},
		Drawn:      []string{Spare},
		Needs:      []faults.Capability{faults.ProcessAbsent},
		Kills:      true,
		Exits:      true,
		Wipes:      true,
		AddsVoters: true,
		Asks:       []history.Ability{history.ChangesMembers, history.LeavesCluster},
		Asked:      func(targets []string) string { return strings.Join(targets, ", ") + " running, and voters" },
		AskedHeal:  func(targets []string) string { return strings.Join(targets, ", ") + " left, and absent" },
	}
}

func (Join) Validate(t topologies.Topology, s Step) error {
	if len(t.Spares()) == 0 {
		return fmt.Errorf("%s has no spares; dc1-3x2 has", t.Name)
	}
	for _, name := range s.Target.Names {
		if n, ok := t.Node(name); ok && n.Role != topologies.Spare {
			return fmt.Errorf("%s takes spares, and %s is none", s.Name(), name)
		}
	}
	return nil
}

// Nodes is the spare at the draw's place, modulo how many there are.
func (Join) Nodes(t topologies.Topology, s Step) []string {
	if s.Target.Word == "" {
		return s.Target.Names
	}
	spares := drawn(t, 0).spares
	return []string{spares[s.Draw%uint64(len(spares))]}
}

// ApplyBaseline has the spares be there. What other steps do to them comes on top.
func (j Join) ApplyBaseline(c *faults.Conditions, t topologies.Topology, s Step) {
	for _, name := range j.Nodes(t, s) {
		delete(c.Processes, name)
	}
}

func (j Join) Acts() Acts {
	return Acts{Work: j.awaitVotes, Heal: leaveOneByOne, Rejoined: func(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
		return awaitGone(ctx, w, targets)
	}}
}

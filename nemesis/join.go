package nemesis

import (
	"context"
	"fmt"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var join = Fault{
	Name:   "join",
	Family: "join",
	Doc: "Spare servers start, with nothing, and join; at the heal they leave gracefully and are gone, with their disks. " +
		"Beside remove, a server is replaced by one at another address.",
	Targets:   []string{Spare},
	Drawn:     []string{Spare},
	Options:   []string{"below-majority"},
	Needs:     []faults.Capability{faults.ProcessAbsent},
	Kills:     true,
	Exits:     true,
	Wipes:     true,
	Gives:     true,
	Suits:     sparesOnly,
	Nodes:     spareNodes,
	Base:      haveSpares,
	Asked:     func(hit []string) string { return strings.Join(hit, ", ") + " running, and voters" },
	AskedHeal: func(hit []string) string { return strings.Join(hit, ", ") + " left, and absent" },
	Work:      votersAgain,
	Heal:      leaveOneByOne,
	Rejoined: func(ctx context.Context, w World, _ Step, hit []string) (string, error) {
		return awaitGone(ctx, w, hit)
	},
}

func sparesOnly(t topologies.Topology, s Step) error {
	if len(t.Spares()) == 0 {
		return fmt.Errorf("%s has no spares; dc1-3x2 has", t.Name)
	}
	for _, name := range s.Target.Names {
		if n, ok := t.Node(name); ok && n.Role != topologies.Spare {
			return fmt.Errorf("%s takes spares, and %s is none", s.Fault, name)
		}
	}
	return nil
}

// spareNodes is whom join hits: the spare at the draw's place, modulo how many there are.
func spareNodes(t topologies.Topology, s Step) []string {
	if s.Target.Word == "" {
		return s.Target.Names
	}
	spares := drawn(t, 0).spares
	return []string{spares[s.Draw%uint64(len(spares))]}
}

// haveSpares has the spares be there. What other steps do to them comes on top.
func haveSpares(c *faults.Conditions, t topologies.Topology, s Step) {
	for _, name := range spareNodes(t, s) {
		delete(c.Processes, name)
	}
}

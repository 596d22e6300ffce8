package nemesis

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Link lets the packets of links be lost, late, doubled, damaged or too many.
type Link struct {
	sides
	OneWay OneWay `yaml:"oneway,omitempty"`
	// What happens to packets. Drop, Reject and Seed are not options: the first two are a
	// partition's, and the draw is the seed.
	faults.Link `yaml:",inline"`
}

func (Link) Kind() Kind {
	return Kind{
		Name:   "link",
		Family: "link",
		Doc: "Packets between nodes are lost (each alone: loss; in bursts: burst-loss, burst), late (delay, jitter; " +
			"scramble lets jitter change their order), overtaken (reorder), doubled (duplicate), damaged (corrupt), too " +
			"many (rate in bytes/s, queue in bytes), or lost if they are for some ports (ports: [8302]), on the links that a partition " +
			"with this target would cut; all means every link, of a datacenter with dc.",
		Targets: andRoles(All, Bridge, Datacenter, Ring, Majority, Minority, One, WAN),
		Between: true,
		Drawn:   andRoles(All, Bridge, Ring, Majority, Minority, One),
		Seeded:  true,
		Needs: []faults.Capability{faults.LinkLoss, faults.LinkDelay, faults.LinkRate, faults.LinkReorder, faults.LinkDuplicate,
			faults.LinkCorrupt, faults.LinkPorts},
	}
}

// Samples are each a network that a cluster should live with, from a bad day to a bad line.
func (Link) Samples() (all []Fault) {
	for _, state := range []faults.Link{
		{Loss: 0.05},
		{Loss: 0.2},
		{BurstLoss: 0.1, Burst: 5},
		{Delay: 40 * time.Millisecond},
		{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond},
		{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond, Scramble: true},
		{Reorder: 0.25},
		{Duplicate: 0.2},
		{Corrupt: 0.1},
		{Rate: 250_000},
		{Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Duplicate: 0.05},
	} {
		all = append(all, Link{Link: state})
	}
	return all
}

// Vary draws the direction.
func (l Link) Vary(target Target, pick func(n int) int) Fault {
	if target.Word != All && target.Word != WAN {
		l.OneWay = pickOneWay(pick)
	}
	return l
}

func (l Link) Validate(t topologies.Topology, s Step) error {
	switch {
	case l.Healthy():
		return fmt.Errorf("nothing happens to packets; give at least one of %s",
			strings.Join(slices.DeleteFunc(OptionNames(l), func(name string) bool { return name == "oneway" }), ", "))
	case s.Target.Word == All && l.OneWay != "":
		return errors.New("oneway means nothing for target all, which is every link in both directions")
	case s.Target.Word == All && len(t.Nodes()) < 2:
		return fmt.Errorf("%s has one node and so no link", t.Name)
	}
	if s.Target.Word == All {
		return l.Check()
	}
	if err := errors.Join(l.Check(), checkSides(t, s, l.OneWay)); err != nil {
		return oneLine(err)
	}
	return nil
}

func (l Link) Nodes(t topologies.Topology, s Step) []string {
	if s.Target.Word == All {
		return namesWhere(t, func(string) bool { return true })
	}
	return l.sides.Nodes(t, s)
}

func (l Link) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	cut(c, l.pairs(t, s), func(pair faults.Pair) faults.Link {
		state := l.Link
		state.Seed = seedOf(pair, s.Draw)
		return state
	})
}

func (l Link) pairs(t topologies.Topology, s Step) (all []faults.Pair) {
	if s.Target.Word != All {
		return pairsBetween(t, s, l.OneWay)
	}
	for _, from := range t.Nodes() {
		for _, to := range t.Nodes() {
			if from != to {
				all = append(all, faults.Pair{From: from.Name, To: to.Name})
			}
		}
	}
	return all
}

func (l Link) Label() string {
	return strings.TrimSpace(string(l.OneWay) + " " + unlessHealthy(l.Link))
}

// seedOf gives every link random numbers of its own.
func seedOf(l faults.Pair, draw uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", l, draw)
	return h.Sum64()
}

package nemesis

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var link = Fault{
	Name:   "link",
	Family: "link",
	Doc: "Packets between nodes are lost (each alone: loss; in bursts: burst-loss, burst), late (delay, jitter; " +
		"scramble lets jitter change their order), overtaken (reorder), doubled (duplicate), damaged (corrupt) or too " +
		"many (rate in bytes/s, queue in bytes), on the links that a partition with this target would cut; all means every link.",
	Targets: []string{All, Bridge, Ring, Majority, Minority, One, Primary},
	Drawn:   []string{All, Bridge, Ring, Majority, Minority, One, Primary},
	Seeded:  true,
	Options: append([]string{"oneway"}, namesOf(linkFields)...),
	Needs: []faults.Capability{faults.LinkLoss, faults.LinkDelay, faults.LinkRate, faults.LinkReorder, faults.LinkDuplicate,
		faults.LinkCorrupt},
	Kinds:  kindsOfLinks,
	Suits:  linkSuits,
	Nodes:  linkNodes,
	Around: leadersSide,
	Edit:   shapeLinks,
}

// kindsOfLinks are what Generate draws from: each a network that a cluster should live
// with, from a bad day to a bad line.
var kindsOfLinks = []Step{
	{Link: faults.Link{Loss: 0.05}},
	{Link: faults.Link{Loss: 0.2}},
	{Link: faults.Link{BurstLoss: 0.1, Burst: 5}},
	{Link: faults.Link{Delay: 40 * time.Millisecond}},
	{Link: faults.Link{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}},
	{Link: faults.Link{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond, Scramble: true}},
	{Link: faults.Link{Reorder: 0.25}},
	{Link: faults.Link{Duplicate: 0.2}},
	{Link: faults.Link{Corrupt: 0.1}},
	{Link: faults.Link{Rate: 250_000}},
	{Link: faults.Link{Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Duplicate: 0.05}},
}

func linkSuits(t topologies.Topology, s Step) error {
	state := s.Link
	switch {
	case !state.Shaped():
		return fmt.Errorf("nothing happens to packets; give at least one of %s", strings.Join(namesOf(linkFields), ", "))
	case s.Target.Word == All && s.OneWay != "":
		return errors.New("oneway means nothing for target all, which is every link in both directions")
	case s.Target.Word == All && len(t.Nodes()) < 2:
		return fmt.Errorf("%s has one node and so no link", t.Name)
	}
	if err := state.Check(); err != nil {
		return err
	}
	if s.Target.Word == All {
		return nil
	}
	return partitionSuits(t, s)
}

func linkNodes(t topologies.Topology, s Step) []string {
	if s.Target.Word == All {
		return namesWhere(t, func(string) bool { return true })
	}
	return partitionNodes(t, s)
}

func shapeLinks(c *faults.Conditions, t topologies.Topology, s Step) {
	edit := func(l faults.Pair) {
		state := s.Link
		state.Seed = seedOf(l, s.Draw)
		c.Cut([]string{l.From}, []string{l.To}, state)
	}
	if s.Target.Word != All {
		eachLink(t, s, edit)
		return
	}
	for _, from := range t.Nodes() {
		for _, to := range t.Nodes() {
			if from != to {
				edit(faults.Pair{From: from.Name, To: to.Name})
			}
		}
	}
}

// seedOf gives every link random numbers of its own.
func seedOf(l faults.Pair, draw uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", l, draw)
	return h.Sum64()
}

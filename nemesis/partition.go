package nemesis

import (
	"fmt"
	"slices"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var partition = Fault{
	Name:   "partition",
	Family: "partition",
	Doc: "Cuts links between nodes, both ways or one way, by dropping or rejecting packets. " +
		"Client agents are dealt to the sides by the draw; a list of names is cut off from everybody else.",
	Targets: []string{Bridge, Ring, Majority, Minority, One, Primary},
	Drawn:   []string{Bridge, Ring, Majority, Minority, One, Primary},
	Options: []string{"oneway", "reject"},
	Needs:   []faults.Capability{faults.LinkDrop, faults.LinkReject},
	Suits:   partitionSuits,
	Nodes:   partitionNodes,
	Around:  leadersSide,
	Edit:    cutLinks,
}

// shape is who sees whom among n servers in their drawn order.
type shape struct {
	word    string
	servers int                    // at least
	cut     func(n, i, j int) bool // whether the servers at places i < j are cut from each other
	group   func(n int) int        // how many from the front are the group that is cut off
}

var shapes = []shape{
	{Bridge, 3, bridged, smallerHalfOf},
	{Majority, 2, off(smallerHalfOf), smallerHalfOf},
	{Ring, 5, ringed, func(n int) int { return n }},
	{Minority, 2, off(minorityOf), minorityOf},
	{One, 2, off(first), first},
	{Primary, 2, off(first), first}, // the leader is put first
}

func first(int) int { return 1 }

// off cuts a group at the front off from the rest.
func off(group func(n int) int) func(n, i, j int) bool {
	return func(n, i, j int) bool { return i < group(n) && j >= group(n) }
}

// bridged cuts the servers before the middle one from those after it.
func bridged(n, i, j int) bool { return i < n/2 && j > n/2 }

// ringed lets every server see its nearest neighbours on a ring, as few on each side as
// make a majority together with itself. With an even majority that is one more than
// needed: a link that only one of two servers sees would carry no connection at all. With
// three servers everybody would see everybody, hence at least five.
func ringed(n, i, j int) bool {
	apart := min(j-i, n-(j-i))
	return apart > majorityOf(n)/2
}

func shapeOf(s Step) shape {
	for _, sh := range shapes {
		if sh.word == s.Target.Word {
			return sh
		}
	}
	// A list of names: those are at place 0, everybody else at place 1.
	return shape{"", 1, off(first), first}
}

// standing is every node's place for a step, and the number of places.
func standing(t topologies.Topology, s Step) (at map[string]int, places int) {
	if s.Target.Word != "" {
		o := drawn(t, s.Draw)
		return o.places(), len(o.servers)
	}
	at = map[string]int{}
	for _, n := range t.Nodes() {
		at[n.Name] = 1
		if slices.Contains(s.Target.Names, n.Name) {
			at[n.Name] = 0
		}
	}
	return at, 2
}

func partitionSuits(t topologies.Topology, s Step) error {
	if s.Target.Word == "" && len(s.Target.Names) == len(t.Nodes()) {
		return fmt.Errorf("the target is every node there is, so nobody is left to cut it off from")
	}
	if have, want := len(t.Servers()), shapeOf(s).servers; have < want {
		return fmt.Errorf("a partition with target %s needs %d servers; %s has %d", s.Target, want, t.Name, have)
	}
	return nil
}

func partitionNodes(t topologies.Topology, s Step) []string {
	at, n := standing(t, s)
	group := shapeOf(s).group(n)
	return namesWhere(t, func(name string) bool { return at[name] < group })
}

// leadersSide is the leader and the client agents that are dealt to it.
func leadersSide(t topologies.Topology, s Step, leader string) []string {
	at := drawn(t, s.Draw).leadBy(leader).places()
	return namesWhere(t, func(name string) bool { return at[name] == 0 })
}

// cutLinks drops or rejects the packets of every link that the step means.
func cutLinks(c *faults.Conditions, t topologies.Topology, s Step) {
	state := faults.Link{Drop: !s.Reject, Reject: s.Reject}
	eachLink(t, s, func(l faults.Pair) { c.Cut([]string{l.From}, []string{l.To}, state) })
}

// eachLink visits the links between every pair of nodes whose places are cut. Of such a
// pair the group that is cut off is the one that comes first in the drawn order; for a
// bridge that is the first half, and in a ring the earlier of the two.
func eachLink(t topologies.Topology, s Step, visit func(faults.Pair)) {
	at, n := standing(t, s)
	sh := shapeOf(s)
	for _, a := range t.Nodes() {
		for _, b := range t.Nodes() {
			if at[a.Name] >= at[b.Name] || !sh.cut(n, at[a.Name], at[b.Name]) {
				continue
			}
			if s.OneWay != In {
				visit(faults.Pair{From: a.Name, To: b.Name})
			}
			if s.OneWay != Out {
				visit(faults.Pair{From: b.Name, To: a.Name})
			}
		}
	}
}

func startedNames(t topologies.Topology) []string {
	var names []string
	for _, n := range t.Started() {
		names = append(names, n.Name)
	}
	return names
}

// namesWhere filters the nodes of a topology, in its order.
func namesWhere(t topologies.Topology, keep func(name string) bool) []string {
	var names []string
	for _, n := range t.Nodes() {
		if keep(n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

package nemesis

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Partition cuts links.
type Partition struct {
	sides
	OneWay OneWay `yaml:"oneway,omitempty"`
	Reject bool   `yaml:"reject,omitempty"` // refuse packets instead of dropping them
	// Only has packets to some ports vanish, and all others pass: Gossip or RPC.
	Only Traffic `yaml:"only,omitempty"`

	ports *TrafficPorts // of the system; nil: Consul's. See Schedule.OnPorts
}

// OneWay is the direction in which links are cut, from the view of the group that is cut
// off; empty is both.
type OneWay string

const (
	In  OneWay = "in"  // it hears nothing, and is heard
	Out OneWay = "out" // it is not heard, and hears
)

func (o OneWay) check() error {
	if o != "" && o != In && o != Out {
		return fmt.Errorf("oneway is %q, not in or out", string(o))
	}
	return nil
}

func pickOneWay(pick func(n int) int) OneWay { return []OneWay{"", "", "", In, Out}[pick(5)] }

func (Partition) Kind() Kind {
	return Kind{
		Name:   "partition",
		Family: "partition",
		Doc: "Cuts links between nodes, both ways or one way, by dropping or rejecting packets, all of them or only gossip or rpc. " +
			"Client agents are dealt to the sides by the draw; a list of names is cut off from everybody else.",
		Targets: andRoles(Bridge, Datacenter, Ring, Majority, Minority, One, WAN),
		Between: true,
		Drawn:   andRoles(Bridge, Ring, Majority, Minority, One),
		Needs:   []faults.Capability{faults.LinkDrop, faults.LinkReject, faults.LinkPorts},
	}
}

// Vary draws the direction, and whether packets are refused.
func (p Partition) Vary(target Target, pick func(n int) int) Fault {
	if p.OneWay = pickOneWay(pick); target.Word == WAN {
		p.OneWay = ""
	}
	p.Reject = pick(4) == 0
	if target.crosses() {
		p.Only = []Traffic{"", "", "", Gossip, RPC}[pick(5)]
		p.Reject = p.Reject && p.Only == ""
	}
	return p
}

func (p Partition) Validate(t topologies.Topology, s Step) error {
	if err := p.Only.check(); err != nil {
		return err
	}
	if p.Only != "" && p.Reject {
		return errors.New("reject is of all packets; leave it out beside only")
	}
	return checkSides(t, s, p.OneWay)
}

func (p Partition) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	state := faults.Link{Drop: !p.Reject, Reject: p.Reject}
	if p.Only != "" {
		state = faults.Link{Ports: cmp.Or(p.ports, &consulPorts).of(p.Only)}
	}
	cut(c, pairsBetween(t, s, p.OneWay), func(faults.Pair) faults.Link { return state })
}

func (p Partition) Label() string {
	words := []string{}
	if p.OneWay != "" {
		words = append(words, string(p.OneWay))
	}
	if p.Reject {
		words = append(words, "reject")
	}
	if p.Only != "" {
		words = append(words, "only "+string(p.Only))
	}
	return strings.Join(words, " ")
}

// sides is whom faults hit that come between two sides of a cluster: the group that is cut off.
type sides struct{}

func (sides) Nodes(t topologies.Topology, s Step) []string {
	at, n := standing(t, s)
	group := shapeOf(s).group(n)
	return namesWhere(t, func(name string) bool { return at[name] < group })
}

// ExpandPrimary is the leader and the client agents that are dealt to it.
func (sides) ExpandPrimary(t topologies.Topology, s Step, leader string) []string {
	at := drawn(t, s.Draw).leadBy(leader).places()
	return namesWhere(t, func(name string) bool { return at[name] == 0 })
}

func checkSides(t topologies.Topology, s Step, way OneWay) error {
	if s.Target.Word == WAN && way != "" {
		return fmt.Errorf("oneway needs two sides; target wan is links of every datacenter")
	}
	if err := way.check(); err != nil {
		return err
	}
	if s.Target.Names != nil && len(s.Target.Names) == len(t.Nodes()) {
		return fmt.Errorf("the target is every node there is, so nobody is left to cut it off from")
	}
	if have, want := len(t.Servers()), shapeOf(s).servers; have < want {
		return fmt.Errorf("a partition with target %s needs %d servers; %s has %d", s.Target, want, t.Name, have)
	}
	return nil
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
	{Ring, 5, ringed, everybody},
	{Minority, 2, off(minorityOf), minorityOf},
	{One, 2, off(first), first},
	{Primary, 2, off(first), first}, // whoever has the role is put first
	{Datacenter, 1, off(first), first},
	{WAN, 1, func(_, i, j int) bool { return i < j }, everybody},
}

// between are the two datacenters of a target, at the places 0 and 1.
var between = shape{"", 1, func(_, i, j int) bool { return i == 0 && j == 1 }, func(int) int { return 2 }}

func everybody(n int) int { return n }

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
	if s.Target.Between != nil {
		return between
	}
	word := s.Target.Word
	if isRole(word) {
		word = Primary
	}
	for _, sh := range shapes {
		if sh.word == word {
			return sh
		}
	}
	// A list of names: those are at place 0, everybody else at place 1.
	return shape{"", 1, off(first), first}
}

// standing is every node's place for a step, and the number of places.
func standing(t topologies.Topology, s Step) (at map[string]int, places int) {
	switch {
	case s.Target.Between != nil:
		return standingBetween(t, s.Target.Between)
	case s.Target.Word == WAN:
		return standingApart(t)
	case s.Target.Word != "" && s.Target.Word != Datacenter:
		o := drawn(t, s.Draw)
		return o.places(), len(o.servers)
	}
	at = map[string]int{}
	for _, n := range t.Nodes() {
		at[n.Name] = 1
		if slices.Contains(s.Target.Names, n.Name) || s.Target.Word == Datacenter && n.DC == s.DC {
			at[n.Name] = 0
		}
	}
	return at, 2
}

// pairsBetween lists the links between every two nodes whose places are cut. Of such two
// the group that is cut off is the one that comes first in the drawn order; for a bridge
// that is the first half, and in a ring the earlier of the two.
func pairsBetween(t topologies.Topology, s Step, way OneWay) (all []faults.Pair) {
	at, n := standing(t, s)
	sh := shapeOf(s)
	for _, a := range t.Nodes() {
		for _, b := range t.Nodes() {
			if at[a.Name] >= at[b.Name] || !sh.cut(n, at[a.Name], at[b.Name]) {
				continue
			}
			if way != In {
				all = append(all, faults.Pair{From: a.Name, To: b.Name})
			}
			if way != Out {
				all = append(all, faults.Pair{From: b.Name, To: a.Name})
			}
		}
	}
	return all
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

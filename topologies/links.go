package topologies

import (
	"fmt"
	"math"
	"slices"

	"faultline/nodes/faults"
)

// Link says what the links of some pairs of nodes are like when nothing is broken. Of
// several that speak of one pair the last counts. Links of which nobody speaks are as fast
// as the machine. What may be asked for is what a link fault may ask for.
type Link struct {
	Between []string `yaml:"between,flow"`          // two datacenters or nodes; of one twice: all links within it
	OneWay  bool     `yaml:"oneway,omitempty"`      // only what the first sends and the second receives
	Profile string   `yaml:"profile,omitempty"`     // what they are like, by the name of a Profile
	RTTOf   []string `yaml:"rtt-of,omitempty,flow"` // two regions: the delay is half the round-trip time between them
	// Link is what they are like in all: the profile's values, and those that the entry gives beside it.
	faults.Link `yaml:",inline"`
}

// Link is what the packets meet that one node sends to another; the zero value is nothing.
func (t Topology) Link(from, to Node) (p faults.Link) {
	for _, l := range t.Links {
		if l.joins(from, to) || !l.OneWay && l.joins(to, from) {
			p = l.Link
		}
	}
	return p
}

func (l Link) joins(from, to Node) bool {
	return from.in(l.Between[0]) && to.in(l.Between[1])
}

// in reports whether a datacenter or node of that name is, or holds, the node.
func (n Node) in(name string) bool { return n.Name == name || n.DC == name }

// checkLinks refuses links of which one end is nowhere.
func (t Topology) checkLinks() error {
	all := t.Nodes()
	for i, l := range t.Links {
		if len(l.Between) != 2 {
			return fmt.Errorf("link %d of topology %s: between takes two names of datacenters or nodes, such as [dc1, dc2]", i, t.Name)
		}
		if math.IsNaN(l.Loss + l.BurstLoss + l.Burst) {
			return fmt.Errorf("link %d of topology %s: loss, burst-loss and burst are numbers", i, t.Name)
		}
		for _, end := range l.Between {
			if !slices.ContainsFunc(all, func(n Node) bool { return n.in(end) }) {
				return fmt.Errorf("link %d of topology %s: no datacenter or node %q", i, t.Name, end)
			}
		}
	}
	return nil
}

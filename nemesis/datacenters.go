package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Each datacenter has its own peer set, so in a topology of several a word such as primary or majority is one of a
// datacenter, which the step names (Step.DC). Such a step is then played as if that datacenter were all there is: its sides
// are among its nodes, its leader is theirs. What is between datacenters has targets of its own: Datacenter, WAN, and
// Target.Between.

// datacenter is whose leader, peers and triggers a step means; empty if there are several and none is named.
func (s Step) datacenter(t topologies.Topology) string {
	switch {
	case s.DC != "":
		return s.DC
	case len(t.Datacenters) == 1:
		return t.Datacenters[0].Name
	}
	var dc string
	for i, name := range s.Target.Names {
		n, _ := t.Node(name)
		if i > 0 && n.DC != dc {
			return ""
		}
		dc = n.DC
	}
	return dc
}

// scope is the part of a topology in which the step is played.
func (s Step) scope(t topologies.Topology) topologies.Topology {
	switch {
	case s.Target.crosses():
		return t
	case s.DC != "":
		return t.In(s.DC)
	case s.Fault.Kind().ofPeers():
		return t.In(s.datacenter(t))
	}
	return t
}

// nodes is whom the step hits.
func (s Step) nodes(t topologies.Topology) []string { return s.Fault.Nodes(s.scope(t), s) }

// crosses reports whether the target is links between datacenters.
func (t Target) crosses() bool { return t.Between != nil || t.Word == Datacenter || t.Word == WAN }

// ofPeers reports whether a fault is about the peer set of whom it hits.
func (k Kind) ofPeers() bool { return k.NeedsLeader || k.RemovesVoters || k.AddsVoters }

// anywhere are the words that mean something without a datacenter.
var anywhere = []string{All, WAN}

// checkDatacenters refuses a step of which nobody knows where it is to be.
func (s Step) checkDatacenters(t topologies.Topology) error {
	all := t.DatacenterNames()
	several := len(all) > 1
	for _, dc := range append(slices.Clone(s.Target.Between), s.DC) {
		if dc != "" && !slices.Contains(all, dc) {
			return fmt.Errorf("no datacenter %s in %s; there are %s", dc, t.Name, strings.Join(all, ", "))
		}
	}
	switch word := s.Target.Word; {
	case s.Fault.Kind().Remote && !several:
		return fmt.Errorf("%s needs several datacenters; %s has one", s.Name(), t.Name)
	case s.Target.crosses() && !several:
		return fmt.Errorf("target %s needs several datacenters; %s has one", s.Target, t.Name)
	case s.DC != "" && (s.Target.Between != nil || word == WAN) && s.When.IsZero() && s.Fired.IsZero(): // else it says whose event is meant
		return fmt.Errorf("target %s says which datacenters are meant; leave out dc", s.Target)
	case s.DC == "" && several && word != "" && !slices.Contains(anywhere, word):
		return fmt.Errorf("dc is missing: %s is of one of the datacenters %s; add, for example, dc: %s", word, strings.Join(all, ", "), all[0])
	case several && !s.When.IsZero() && s.When.Event != OpenOperations && s.datacenter(t) == "":
		return fmt.Errorf("dc is missing: %s is of one of the datacenters %s; add, for example, dc: %s", s.When.Event, strings.Join(all, ", "), all[0])
	}
	for _, name := range s.Target.Names {
		switch n, ok := t.Node(name); {
		case ok && s.DC != "" && n.DC != s.DC:
			return fmt.Errorf("node %s is in %s, not in %s", name, n.DC, s.DC)
		case ok && s.Fault.Kind().ofPeers() && s.datacenter(t) == "":
			return fmt.Errorf("%s takes servers of one datacenter, not %s", s.Name(), s.Target)
		}
	}
	return nil
}

// checkBetween looks at a target that is the links between two datacenters.
func checkBetween(f Kind, between []string) error {
	switch {
	case !f.Between:
		return fmt.Errorf("%s does not take between; it is not about links", f.Name)
	case len(between) != 2 || between[0] == between[1]:
		return fmt.Errorf("between takes two datacenters, such as [dc1, dc2]")
	}
	return nil
}

// standingBetween gives nodes the place of their datacenter: 0 and 1 if it is named, else 2.
func standingBetween(t topologies.Topology, between []string) (at map[string]int, places int) {
	at = map[string]int{}
	for _, n := range t.Nodes() {
		at[n.Name] = 2
		if i := slices.Index(between, n.DC); i >= 0 {
			at[n.Name] = i
		}
	}
	return at, 3
}

// standingApart gives all nodes of a datacenter the same place, in the order of the topology.
func standingApart(t topologies.Topology) (at map[string]int, places int) {
	at = map[string]int{}
	for i, dc := range t.DatacenterNames() {
		for _, n := range t.Nodes() {
			if n.DC == dc {
				at[n.Name] = i
			}
		}
	}
	return at, len(t.Datacenters)
}

// of is the world as a step of a datacenter sees it.
func (w World) of(dc string) World {
	w.dc, w.watcher = dc, w.watchers[dc]
	return w
}

// at is the world as seen from a node.
func (w World) at(node string) World {
	n, _ := w.Topology.Node(node)
	return w.of(n.DC)
}

// leader is who leads the datacenter.
func (w World) leader(ctx context.Context) (string, error) { return w.Leader(ctx, w.dc) }

// openOperations is how many operations of clients are under way that a step counts.
func (w World) openOperations(s Step) int {
	if w.Open == nil {
		return 0
	}
	return w.Open(s.DC)
}

func (p *player) worldOf(s Step) World { return p.World.of(s.datacenter(p.Topology)) }

// cut adds a state to links.
func cut(c *faults.Conditions, pairs []faults.Pair, state func(faults.Pair) faults.Link) {
	for _, pair := range pairs {
		c.Cut([]string{pair.From}, []string{pair.To}, state(pair))
	}
}

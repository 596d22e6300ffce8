package topologies

import "faultline/nodes/faults"

// WithWAN is the topology with edit made of every link between nodes of different
// datacenters, as it is without faults. Links of which no entry speaks are edited as
// perfect ones; those within a datacenter stay as they are.
//
//	lossy := t.WithWAN(func(l *faults.Link) { l.Loss = 0.05 })
//
// Whether the result can be measured is for [Topology.CheckLinks].
func (t Topology) WithWAN(edit func(*faults.Link)) Topology {
	var links []Link
	for i, a := range t.Datacenters {
		for _, b := range t.Datacenters[i+1:] {
			l := Link{Between: []string{a.Name, b.Name}}
			edit(&l.Link)
			links = append(links, l) // which entries that speak of the pair come after
		}
	}
	for _, l := range t.Links {
		if t.crosses(l) {
			edit(&l.Link)
		}
		links = append(links, l)
	}
	t.Links = links
	return t
}

// crosses reports whether an entry is about links between different datacenters.
func (t Topology) crosses(l Link) bool {
	return len(l.Between) == 2 && t.datacenterOf(l.Between[0]) != t.datacenterOf(l.Between[1])
}

// datacenterOf is the datacenter that a name means, or that of the node that it means.
func (t Topology) datacenterOf(name string) string {
	if n, ok := t.Node(name); ok {
		return n.DC
	}
	return name
}

// In is the datacenter of that name by itself, with the links within it; of no name, or an unknown one, it is the topology.
func (t Topology) In(dc string) Topology {
	for _, d := range t.Datacenters {
		if d.Name != dc {
			continue
		}
		var links []Link
		for _, l := range t.Links {
			if t.datacenterOf(l.Between[0]) == dc && t.datacenterOf(l.Between[1]) == dc {
				links = append(links, l)
			}
		}
		t.Datacenters, t.Links = []Datacenter{d}, links
		return t
	}
	return t
}

// DatacenterNames lists the datacenters, in the order of the topology.
func (t Topology) DatacenterNames() []string {
	names := make([]string, len(t.Datacenters))
	for i, dc := range t.Datacenters {
		names[i] = dc.Name
	}
	return names
}

// DatacenterOf is the datacenter of each node, by name.
func (t Topology) DatacenterOf() map[string]string {
	of := map[string]string{}
	for _, n := range t.Nodes() {
		of[n.Name] = n.DC
	}
	return of
}

package nodes

import "faultline/topologies"

// Baseline is what a cluster of this shape is like when no fault is at work: everything
// well, and the spares not there.
func Baseline(t topologies.Topology) Conditions {
	var c Conditions
	for _, n := range t.Spares() {
		c.SetProcess([]string{n.Name}, Absent)
	}
	return c
}

package topologies

import (
	"fmt"

	"faultline/nodes/faults"
)

// Baseline is what a cluster of this shape is like when no fault is at work: links as the
// topology has them, all else well, and the spares not there. Faults go on top.
func (t Topology) Baseline() faults.Conditions {
	var c faults.Conditions
	for _, n := range t.Spares() {
		c.SetProcess([]string{n.Name}, faults.Wiped)
	}
	all := t.Nodes()
	for i, from := range all {
		for j, to := range all {
			if link := t.Link(from, to); i != j && !link.Healthy() {
				link.Seed = uint64(i*len(all) + j)
				c.Cut([]string{from.Name}, []string{to.Name}, link)
			}
		}
	}
	return c
}

// CheckLinks refuses, by name and range, links that could not be told from perfect ones.
func (t Topology) CheckLinks() error {
	for i, l := range t.Links {
		if err := l.Link.Check(); err != nil {
			return fmt.Errorf("link %d of topology %s: %w", i, t.Name, err)
		}
	}
	return nil
}

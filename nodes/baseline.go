package nodes

import (
	"fmt"

	"faultline/topologies"
)

// Baseline is what a cluster of this shape is like when no fault is at work: links as the
// topology has them, all else well, and the spares not there. Faults go on top.
func Baseline(t topologies.Topology) Conditions {
	var c Conditions
	for _, n := range t.Spares() {
		c.SetProcess([]string{n.Name}, Absent)
	}
	all := t.Nodes()
	for i, from := range all {
		for j, to := range all {
			if state := pathState(t.Path(from, to)); i != j && !state.Healthy() {
				state.Seed = uint64(i*len(all) + j)
				c.Cut([]string{from.Name}, []string{to.Name}, state)
			}
		}
	}
	return c
}

func pathState(p topologies.Path) LinkState {
	return LinkState{Delay: p.Delay, Jitter: p.Jitter, Loss: p.Loss, BurstLoss: p.BurstLoss, Burst: p.Burst, Rate: p.Rate, Queue: p.Queue}
}

// CheckLinks refuses, by name and range, links of a topology that could not be told from
// perfect ones.
func CheckLinks(t topologies.Topology) error {
	for i, l := range t.Links {
		if err := pathState(l.Path).Check(); err != nil {
			return fmt.Errorf("link %d of topology %s: %w", i, t.Name, err)
		}
	}
	return nil
}

package nemesis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/topologies"
)

// checkVoters refuses a schedule that at some moment leaves a datacenter fewer voters than
// a majority, by steps that take voters away for longer than a process is down: what a
// cluster loses so it cannot get back by itself. Steps with BelowMajority may.
//
// Counted are the servers and the spares that have joined. A step on a role, whose name
// nobody knows yet, takes one more of each datacenter.
func (s Schedule) checkVoters(t topologies.Topology) error {
	for _, moment := range timeline(s) {
		for _, dc := range t.Datacenters {
			if err := s.checkVotersAt(t, dc.Name, moment.at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Schedule) checkVotersAt(t topologies.Topology, dc string, at time.Duration) error {
	voters := map[string]bool{} // false: taken away
	for _, n := range t.Servers() {
		if n.DC == dc {
			voters[n.Name] = true
		}
	}
	var removing []Step
	unnamed := 0
	for _, step := range s.Steps {
		step = step.withDefaults()
		kind := step.Fault.Kind()
		from, to := step.At, step.over()
		if mayGoBelow(step.Fault) && from <= at && at <= to {
			return nil
		}
		if kind.AddsVoters && from <= at && at < to {
			for _, name := range step.nodes(t) {
				if n, _ := t.Node(name); n.DC == dc {
					voters[name] = true
				}
			}
		}
		switch {
		case !kind.RemovesVoters || at < from || to <= at:
		case isRole(step.Target.Word) && step.datacenter(t) != dc:
		case isRole(step.Target.Word):
			unnamed, removing = unnamed+1, append(removing, step)
		default:
			removing = append(removing, step)
		}
	}
	left := len(voters) - unnamed
	for name := range voters {
		if slices.ContainsFunc(removing, func(step Step) bool { return removes(t, step, name) }) {
			left--
		}
	}
	if len(removing) == 0 || left >= majorityOf(len(voters)) {
		return nil
	}
	var labels []string
	for _, step := range removing {
		labels = append(labels, step.Label())
	}
	last := removing[len(removing)-1]
	return fmt.Errorf("%sat %s %s would leave %d of the %d voters of %s, which is no majority; below-majority: true lets a step do so",
		s.position(last), writeDuration(at), strings.Join(labels, " and "), left, len(voters), dc)
}

func removes(t topologies.Topology, s Step, name string) bool {
	return !isRole(s.Target.Word) && slices.Contains(s.nodes(t), name)
}

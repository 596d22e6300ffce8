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
// Counted are the servers and the spares that have joined. A step on primary, whose name
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
	var taking []Step
	unnamed := 0
	for _, step := range s.Steps {
		f, _ := find(step.Fault)
		step = f.withDefaults(step)
		from, to := step.At, step.At+step.lasts()
		if step.BelowMajority && from <= at && at <= to {
			return nil
		}
		if f.Gives && from <= at && at < to {
			for _, name := range f.Nodes(t, step) {
				if n, _ := t.Node(name); n.DC == dc {
					voters[name] = true
				}
			}
		}
		switch {
		case !f.Takes || at < from || to <= at:
		case step.Target.Word == Primary:
			unnamed, taking = unnamed+1, append(taking, step)
		default:
			taking = append(taking, step)
		}
	}
	left := len(voters) - unnamed
	for name := range voters {
		if slices.ContainsFunc(taking, func(step Step) bool { return takes(t, step, name) }) {
			left--
		}
	}
	if len(taking) == 0 || left >= majorityOf(len(voters)) {
		return nil
	}
	var labels []string
	for _, step := range taking {
		labels = append(labels, step.Label())
	}
	last := taking[len(taking)-1]
	return fmt.Errorf("%sat %s %s would leave %d of the %d voters of %s, which is no majority; below-majority: true lets a step do so",
		s.position(last), writeDuration(at), strings.Join(labels, " and "), left, len(voters), dc)
}

func takes(t topologies.Topology, s Step, name string) bool {
	f, _ := find(s.Fault)
	return s.Target.Word != Primary && slices.Contains(f.Nodes(t, s), name)
}

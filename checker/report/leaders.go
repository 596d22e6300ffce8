package report

import (
	"cmp"
	"encoding/json"
	"slices"

	"faultline/topologies"
	"faultline/workloads/history"
)

// stateSpan is a time over which a node reported the same state and term.
type stateSpan struct {
	Node       string
	State      history.State // Leader, Candidate, or silent for a node that did not answer
	Term       uint64
	From, Till int64
}

// silent is the State of a node that does not answer.
const silent history.State = "silent"

// stateSpans reads the observer's events: for each node the times in which it led, stood as
// a candidate or did not answer. Following, the ordinary state, is left out. A state
// holds until the node's next observation. The result is in the order of From.
func stateSpans(events []history.Event, end int64) []stateSpan {
	var all []stateSpan
	current := map[string]int{} // by node, position in all of its running stay, -1 if it follows
	for _, e := range events {
		if e.Process != history.Observer || e.F != history.FObserve {
			continue
		}
		var o history.Observation
		if err := json.Unmarshal(e.Value, &o); err != nil {
			o = history.Observation{Error: err.Error()}
		}
		next := stateSpan{Node: e.Node, State: o.State, Term: o.Term, From: e.Time, Till: end}
		if o.Error != "" {
			next.State, next.Term = silent, 0
		}
		at, known := current[e.Node]
		running := known && at >= 0
		if running && all[at].State == next.State && all[at].Term == next.Term {
			continue
		}
		if running {
			all[at].Till = e.Time
		}
		current[e.Node] = -1
		if next.State == silent || next.State == history.Leader || next.State == history.Candidate {
			current[e.Node] = len(all)
			all = append(all, next)
		}
	}
	slices.SortStableFunc(all, func(a, b stateSpan) int { return cmp.Compare(a.From, b.From) })
	return all
}

// leaderships are the spans of leaders.
func leaderships(all []stateSpan) []stateSpan {
	return slices.DeleteFunc(slices.Clone(all), func(s stateSpan) bool { return s.State != history.Leader })
}

// changes counts how often leadership went on to another term or node after the first, in each datacenter.
func changes(t topologies.Topology, leaders []stateSpan) int {
	type leadership struct {
		node string
		term uint64
	}
	seen := map[leadership]bool{}
	for _, s := range leaders {
		seen[leadership{s.Node, s.Term}] = true
	}
	led := map[string]bool{} // datacenters that had any
	for l := range seen {
		n, _ := t.Node(l.node)
		led[n.DC] = true
	}
	return len(seen) - len(led)
}

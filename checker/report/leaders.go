package report

import (
	"cmp"
	"encoding/json"
	"slices"

	"faultline/workloads/history"
)

// stay is a time over which a node said the same of itself.
type stay struct {
	Node       string
	State      history.State // Leader, Candidate, or silent for a node that did not answer
	Term       uint64
	From, Till int64
}

// silent is the State of a node that does not answer.
const silent history.State = "silent"

// stays reads the observer's events: for each node the times in which it led, stood as
// a candidate or did not answer. Following, the ordinary state, is left out. A state
// holds until the node's next observation. The result is in the order of From.
func stays(events []history.Event, end int64) []stay {
	var all []stay
	current := map[string]int{} // by node, position in all of its running stay, -1 if it follows
	for _, e := range events {
		if e.Process != history.Observer || e.F != history.FObserve {
			continue
		}
		var o history.Observation
		if err := json.Unmarshal(e.Value, &o); err != nil {
			o = history.Observation{Error: err.Error()}
		}
		next := stay{Node: e.Node, State: o.State, Term: o.Term, From: e.Time, Till: end}
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
	slices.SortStableFunc(all, func(a, b stay) int { return cmp.Compare(a.From, b.From) })
	return all
}

// reigns are the stays of leaders.
func reigns(all []stay) []stay {
	return slices.DeleteFunc(slices.Clone(all), func(s stay) bool { return s.State != history.Leader })
}

// changes counts how often leadership went on to another term or node after the first.
func changes(leaders []stay) int {
	type reign struct {
		node string
		term uint64
	}
	seen := map[reign]bool{}
	for _, s := range leaders {
		seen[reign{s.Node, s.Term}] = true
	}
	return max(0, len(seen)-1)
}

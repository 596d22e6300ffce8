package checker

import (
	"encoding/json"
	"fmt"

	"faultline/workloads/history"
)

// unreported finds where the runtime must have missed something: an end of a process without
// a start, two starts without an end between them, a node that answers although its last
// process has ended, a kill that was measured and ended nothing. What is missing may have been
// crashes.
func unreported(run *Run, all []history.ProcessEvent) (reasons []string, err error) {
	of := map[string][]history.ProcessEvent{}
	for _, e := range all {
		of[e.Node] = append(of[e.Node], e)
	}
	for _, n := range run.Topology.Nodes() {
		due := history.ProcessStarted
		for _, e := range of[n.Name] {
			if e.Kind != due {
				reasons = append(reasons, fmt.Sprintf("the runtime reported that a process of %s had %s by %s, where it should have %s: something before that is missing",
					n.Name, e.Kind, clock(e.When), due))
			}
			due = next[e.Kind]
		}
	}
	for _, n := range run.Topology.Started() {
		if len(of[n.Name]) == 0 {
			reasons = append(reasons, "the runtime reported no process of "+n.Name)
		}
	}
	undead, err := answersAfterEnd(run, of)
	return append(append(reasons, undead...), killsWithoutEnd(run, of)...), err
}

var next = map[history.ProcessKind]history.ProcessKind{
	history.ProcessStarted: history.ProcessEnded,
	history.ProcessEnded:   history.ProcessStarted,
}

// answersAfterEnd finds the nodes that answered the observer long after the last end of a
// process of theirs.
func answersAfterEnd(run *Run, of map[string][]history.ProcessEvent) (reasons []string, err error) {
	said := map[string]bool{}
	for i := range run.Events {
		e := &run.Events[i]
		events := of[e.Node]
		if e.Process != history.Observer || e.F != history.FObserve || len(events) == 0 || said[e.Node] {
			continue
		}
		last := events[len(events)-1]
		if last.Kind != history.ProcessEnded || e.Time < last.When+observationLag {
			continue
		}
		var o history.Observation
		if err := json.Unmarshal(e.Value, &o); err != nil {
			return nil, fmt.Errorf("event %d: an observation that cannot be read: %w", e.Index, err)
		}
		if o.Error == "" {
			said[e.Node] = true
			reasons = append(reasons, fmt.Sprintf("%s answered at %s, but the runtime reported that its last process ended at %s: a start is missing",
				e.Node, clock(e.Time), clock(last.When)))
		}
	}
	return reasons, nil
}

// killsWithoutEnd finds the faults that were measured to have ended a process, though the
// runtime reported that it ran all along.
func killsWithoutEnd(run *Run, of map[string][]history.ProcessEvent) (reasons []string) {
	for _, f := range run.Faults {
		if !f.Kills || f.Exits || !f.Verified {
			continue
		}
		healed := f.Healed
		if healed != history.Pending {
			healed += observationLag
		}
		for _, node := range f.Targets {
			if ranAllAlong(of[node], f.Start-observationLag, f.Start, healed) {
				reasons = append(reasons, fmt.Sprintf("step %d (%s) was measured to have ended the process of %s, and the runtime reported no end of it", f.Step, f.Name, node))
			}
		}
	}
	return reasons
}

// ranAllAlong reports whether a process ran when a fault began, and none ended between two times around
// that. One that had ended before, by another fault, did not run.
func ranAllAlong(events []history.ProcessEvent, from, began, to int64) bool {
	running := false
	for _, e := range events {
		if e.Kind == history.ProcessEnded && e.When >= from && e.When <= to {
			return false
		}
		if e.When <= began {
			running = e.Kind == history.ProcessStarted
		}
	}
	return running
}

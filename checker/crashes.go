package checker

import (
	"context"
	"encoding/json"
	"fmt"

	"faultline/workloads/history"
)

// checkCrashes looks for nodes that were started again though nobody had ended them. A
// node says a new Boot after every start. The harness starts whatever should run, so a
// crash does not show as a node that is gone, only as a Boot that changed:
//
//	observer  boot A        boot B
//	nemesis          |kill|          fine: the kill lies between the two
//	nemesis  |kill|                  a crash
func checkCrashes(_ context.Context, run *Run) Result {
	type life struct {
		boot string
		at   int64 // last seen
	}
	last := map[string]life{}
	starts := 0
	var reasons []string
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FObserve {
			continue
		}
		var o history.Observation
		if err := json.Unmarshal(e.Value, &o); err != nil {
			return Result{Verdict: Unknown, Summary: fmt.Sprintf("event %d: an observation that cannot be read: %v", e.Index, err)}
		}
		if o.Boot == "" {
			continue
		}
		was, seen := last[e.Node]
		if seen && was.boot != o.Boot {
			starts++
			if !ended(run.Faults, e.Node, was.at, e.Time) {
				reasons = append(reasons, fmt.Sprintf("the process of %s ended between %s and %s, and no fault had ended it: its log says why",
					e.Node, clock(was.at), clock(e.Time)))
			}
		}
		last[e.Node] = life{o.Boot, e.Time}
	}
	r := Result{Figures: []Figure{{Name: "nodes", Value: float64(len(last))}, {Name: "restarts", Value: float64(starts)}}}
	switch {
	case len(reasons) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, reasons[0], capped(reasons)
	case len(last) == 0:
		r.Verdict, r.Summary = Unknown, "no node told which start of its process it is"
	default:
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%s, %s, all asked for", plural(len(last), "node"), plural(starts, "restart"))
	}
	return r
}

// sightingLag is how long before its line in the history an answer may have been true,
// in nanoseconds: the observer asks, waits at most a second, and writes.
const sightingLag = 2e9

// ended tells whether a fault that ends processes was at work on a node at some time
// between two sightings of it.
func ended(faults []history.Fault, node string, from, to int64) bool {
	return struck(faults, node, from, to, func(f history.Fault) bool { return f.Kills })
}

// wiped tells the same of a fault that empties disks.
func wiped(faults []history.Fault, node string, from, to int64) bool {
	return struck(faults, node, from, to, func(f history.Fault) bool { return f.Wipes })
}

func struck(faults []history.Fault, node string, from, to int64, is func(history.Fault) bool) bool {
	for _, f := range faults {
		if !is(f) || f.Start > to || f.Healed < from-sightingLag {
			continue
		}
		for _, target := range f.Targets {
			if target == node {
				return true
			}
		}
	}
	return false
}

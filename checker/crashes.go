package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// checkCrashes judges every end of a node's process that the runtime reported, by how it
// ended and by which faults were in force on the node:
//
//   - by SIGKILL: a fault sent it (kill, power-loss …), or else something outside the run did, or
//     the kernel for lack of memory. That is not the process's doing: unknown.
//   - in any other way, an exit or a signal of its own: a fault allows it (leave, a disk
//     that fails), or the node was to join, reached no member, and is of a system that then exits; or else the system crashed: invalid. A node that crashes while the nemesis
//     kills and starts it has crashed all the same.
//
// Where the runtime cannot have reported all starts and ends (unreported), what is missing may
// have been a crash: unknown.
//
// Runs from before runtimes reported processes are judged by the boot IDs that nodes reported
// (bootCrashes).
func checkCrashes(_ context.Context, run *Run) Result {
	all, err := processEvents(run.Events)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	if len(all) == 0 && run.Settings.Format < formatSealed {
		return bootCrashes(run)
	}
	var broken, foreign []string
	lives := map[string]int{}
	ends, gaveUp := 0, 0
	for _, e := range all {
		if e.Kind == history.ProcessStarted {
			lives[e.Node]++
			continue
		}
		ends++
		switch {
		case e.Signal == sigkill && !killed(run.Faults, e):
			foreign = append(foreign, describeForeignKill(e))
		case e.Signal == "" && gaveUpJoining(run, all, e):
			gaveUp++
		case e.Signal != sigkill && !allowedToEnd(run.Faults, e):
			broken = append(broken, fmt.Sprintf("the process of %s ended by itself at %s, with %s, and no fault was at work that lets it: its log says why",
				e.Node, clock(e.When), e.How()))
		}
	}
	restarts := 0
	for _, n := range lives {
		restarts += n - 1
	}
	r := Result{Metrics: []Metric{{Name: "nodes", Value: float64(len(lives))}, {Name: "restarts", Value: float64(restarts)},
		{Name: "ends of processes", Value: float64(ends)}}}
	if gaveUp > 0 {
		r.Metrics = append(r.Metrics, Metric{Name: "ends before a node had joined", Value: float64(gaveUp)})
	}
	missing, err := unreported(run, all)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	doubts := append(foreign, missing...)
	switch {
	case len(broken) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, broken[0], capped(append(broken, doubts...))
	case len(lives) == 0:
		r.Verdict, r.Summary = Unknown, "the runtime reported no process"
	case len(doubts) > 0:
		r.Verdict, r.Summary, r.Reasons = Unknown, doubts[0], capped(doubts)
	default:
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%s, %s, all asked for", plural(len(lives), "node"), plural(restarts, "restart"))
	}
	return r
}

const sigkill = "SIGKILL"

// gaveUpJoining reports whether a node ended by an exit before it had joined anew, of a system whose nodes
// do so if they reach no member: since a fault that took it out of the peer set it was started, and
// never answered.
func gaveUpJoining(run *Run, all []history.ProcessEvent, end history.ProcessEvent) bool {
	if !run.Settings.ExitsUnjoined {
		return false
	}
	out := int64(-1) // when the last fault began that took it out
	for _, f := range run.Faults {
		if f.Rejoins && f.Start < end.When && slices.Contains(f.Targets, end.Node) {
			out = max(out, f.Start)
		}
	}
	started := int64(-1) // for the first time after that
	for _, e := range all {
		if e.Node == end.Node && e.Kind == history.ProcessStarted && out >= 0 && e.When > out {
			started = e.When
			break
		}
	}
	if started < 0 || started > end.When {
		return false
	}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FObserve || e.Node != end.Node || e.Time < started || e.Time > end.When {
			continue
		}
		var o history.Observation
		if err := json.Unmarshal(e.Value, &o); err != nil || o.Error == "" {
			return false
		}
	}
	return true
}

// processEvents lists what the runtime reported of processes, in the order of the history.
func processEvents(events []history.Event) (all []history.ProcessEvent, err error) {
	for i := range events {
		e := &events[i]
		if e.Process != history.Runtime || e.F != history.FProcess {
			continue
		}
		var p history.ProcessEvent
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return nil, fmt.Errorf("event %d: what became of a process cannot be read: %w", e.Index, err)
		}
		p.Node = e.Node
		all = append(all, p)
	}
	return all, nil
}

func describeForeignKill(e history.ProcessEvent) string {
	by := "somebody outside of Faultline did"
	if e.OutOfMemory {
		by = "the kernel did, as memory ran out"
	}
	return fmt.Sprintf("the process of %s was killed at %s by a SIGKILL that no fault had sent: %s", e.Node, clock(e.When), by)
}

// foreignKills lists the ends by a SIGKILL that no fault had sent.
func foreignKills(run *Run) (reasons []string) {
	all, err := processEvents(run.Events)
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range all {
		if e.Kind == history.ProcessEnded && e.Signal == sigkill && !killed(run.Faults, e) {
			reasons = append(reasons, describeForeignKill(e))
		}
	}
	return reasons
}

// killLag is by how much the time of a kill, which the runtime may take from another clock,
// may be after the heal of what killed; a node is only started again once its end was seen.
const killLag = 2e8

// killed reports whether a fault that kills processes was in force on the node.
func killed(faults []history.Fault, e history.ProcessEvent) bool {
	return faultActive(faults, e.Node, e.When-killLag+observationLag, e.When, func(f history.Fault) bool { return f.Kills })
}

// allowedToEnd reports the same of a fault that lets processes end by themselves.
func allowedToEnd(faults []history.Fault, e history.ProcessEvent) bool {
	return faultActive(faults, e.Node, e.When, e.When, func(f history.Fault) bool { return f.Exits })
}

// bootCrashes looks for nodes that restarted though no fault had ended them. A node reports a
// new boot ID after every start. The harness starts whatever should run, so a crash does not
// show as a node that is gone, only as a boot ID that changed:
//
//	observer  boot A        boot B
//	nemesis          |kill|          fine: the kill lies between the two
//	nemesis  |kill|                  a crash
func bootCrashes(run *Run) Result {
	type life struct {
		boot string
		at   int64 // last seen
	}
	last := map[string]life{}
	starts := 0
	var reasons []string
	said, err := observations(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	for _, o := range said {
		if o.BootID == "" {
			continue
		}
		was, seen := last[o.node]
		if seen && was.boot != o.BootID {
			starts++
			if !faultActive(run.Faults, o.node, was.at, o.at, func(f history.Fault) bool { return f.Kills }) {
				reasons = append(reasons, fmt.Sprintf("the process of %s ended between %s and %s, and no fault had ended it: its log says why",
					o.node, clock(was.at), clock(o.at)))
			}
		}
		last[o.node] = life{o.BootID, o.at}
	}
	r := Result{Metrics: []Metric{{Name: "nodes", Value: float64(len(last))}, {Name: "restarts", Value: float64(starts)}}}
	switch {
	case len(reasons) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, reasons[0], capped(reasons)
	case len(last) == 0:
		r.Verdict, r.Summary = Unknown, "no node reported its boot ID"
	default:
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%s, %s, all asked for", plural(len(last), "node"), plural(starts, "restart"))
	}
	return r
}

// observationLag is how long before its line in the history an answer may have been true, and
// how long after a fault what it did to a node may show, in nanoseconds: the observer asks,
// waits at most a second, and writes.
const observationLag = 2e9

// faultActive reports whether such a fault was in force on a node at some time between from and to.
func faultActive(faults []history.Fault, node string, from, to int64, is func(history.Fault) bool) bool {
	for _, f := range faults {
		if !is(f) || f.Start > to || f.Healed < from-observationLag {
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

// wiped reports whether a fault that empties disks was in force.
func wiped(faults []history.Fault, node string, from, to int64) bool {
	return faultActive(faults, node, from, to, func(f history.Fault) bool { return f.Wipes })
}

package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// tellsPeers is what a run lacks in which nobody asked for the peer set: its system tells none, or its
// harness was an older one.
func tellsPeers(run *Run) string {
	if !run.Settings.can(history.ChangesMembers) {
		return "the system's peer set cannot be looked at"
	}
	if !slices.ContainsFunc(run.Events, func(e history.Event) bool { return e.Process == history.Observer && e.F == history.FPeers }) {
		return "nobody asked for the peer set in this run"
	}
	return ""
}

// checkMembers judges the peer set after the last heal: within Settings.RecoverWithin it is the servers
// that should run, each once, all of them voters, and nobody else. The session asks for it from the end
// of the quiet phase on, until a server tells the right one or the bound is over; one right answer is
// enough.
//
// Heals of faults that take servers away wait until the servers vote again. One that waited in vain, in a
// cluster that was measured to be as asked, is no excuse here: the nemesis did its part, and the system
// did not do its own.
func checkMembers(_ context.Context, run *Run) Result {
	_, ended, interrupted, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	if len(run.Ops) == 0 {
		return Result{Verdict: Unknown, Summary: "no client asked for anything"}
	}
	since, after, err := lastHeal(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	seen, err := peerSets(run, since)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid, Metrics: []Metric{{Name: "looks at the peer set", Value: float64(seen.asked)}}}
	if !ended {
		r.Verdict, r.Reasons = Unknown, []string{cutOff}
	}
	limit := int64(run.Settings.RecoverWithin)
	switch {
	case seen.right > 0:
		r.Summary = fmt.Sprintf("%s after %s the peer set was the %s, all voters", ms(seen.right-since), after, plural(len(run.Topology.Servers()), "server"))
		r.Metrics = append(r.Metrics, Metric{"peer set as it should be, after the last heal", seconds(seen.right - since), "s"})
		return r
	case seen.wrong == 0:
		r.Summary = fmt.Sprintf("no server told the peer set after %s (%s)", after, seen.why)
	default:
		r.Summary = fmt.Sprintf("the peer set %s after %s: %s", ms(seen.last-since), after, seen.why)
	}
	excuses, err := excuseMembers(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	if limit > 0 && seen.wrong >= minTries && seen.last-since >= limit && len(excuses) == 0 && ended && !interrupted {
		r.Verdict = Invalid
		r.Summary += fmt.Sprintf("; allowed are %s", ms(limit))
	} else {
		r.Verdict = Unknown
	}
	r.Reasons = capped(slices.Concat([]string{r.Summary}, r.Reasons, excuses))
	return r
}

// peerAnswers are what servers told of the peer set after a time.
type peerAnswers struct {
	asked, wrong int
	right        int64  // when the first told the right one; 0 if none did
	last         int64  // when the last told a wrong one
	why          string // what was wrong with that, or why nobody told any
}

func peerSets(run *Run, since int64) (a peerAnswers, err error) {
	a.why = "none was asked"
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FPeers || e.Time < since {
			continue
		}
		var set history.PeerSet
		if err := json.Unmarshal(e.Value, &set); err != nil {
			return a, fmt.Errorf("event %d: a peer set that cannot be read: %w", e.Index, err)
		}
		a.asked++
		if set.Error != "" {
			if a.wrong == 0 {
				a.why = fmt.Sprintf("%s did not answer: %s", e.Node, set.Error)
			}
			continue
		}
		gaps := set.Gaps(serversBeside(run, e.Node))
		if len(gaps) == 0 {
			a.right = e.Time
			return a, nil
		}
		a.wrong, a.last, a.why = a.wrong+1, e.Time, fmt.Sprintf("%s (as %s tells it)", strings.Join(gaps, "; "), e.Node)
	}
	return a, nil
}

// serversBeside are the servers of a node's datacenter.
func serversBeside(run *Run, node string) (names []string) {
	at, _ := run.Topology.Node(node)
	for _, n := range run.Topology.Servers() {
		if n.DC == at.DC {
			names = append(names, n.Name)
		}
	}
	return names
}

// excuseMembers is excuse, but for heals that lack nothing but what the system had to do.
func excuseMembers(run *Run) ([]string, error) {
	left := map[int]bool{}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Nemesis {
			continue
		}
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil {
			return nil, fmt.Errorf("event %d: a fault event that cannot be read: %w", e.Index, err)
		}
		if m.Stage == history.FaultHeal && m.Done {
			left[m.Step] = leftToSystem(m.Evidence)
		}
	}
	other := *run
	other.Faults = slices.Clone(run.Faults)
	for i := range other.Faults {
		f := &other.Faults[i]
		f.HealVerified = f.HealVerified || left[f.Step]
	}
	return excuse(&other), nil
}

// leftToSystem reports whether the evidence of a heal shows that the cluster was made as asked, and that
// only the peer set did not follow.
func leftToSystem(e *faults.Evidence) bool {
	if e == nil || e.Want == nil || e.Got == nil || len(faults.Compare(e.Before, *e.Want, *e.Got, e.Nodes)) > 0 {
		return false
	}
	waited := false
	for _, f := range e.Findings {
		if f.Holds() {
			continue
		}
		if f.About != "voters" && f.About != "peers" {
			return false
		}
		waited = true
	}
	return waited
}

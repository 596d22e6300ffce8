package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"faultline/workloads/history"
)

// checkRecord asks whether the history is complete: as the harness wrote it, from the
// beginning to the end, without a time in which the harness was stopped. Nothing follows from
// what is missing, so it is never invalid, and a run that was cut short is at best unknown:
// what would have followed was not tested.
func checkRecord(_ context.Context, run *Run) Result {
	r := Result{Metrics: []Metric{{Name: "events", Value: float64(len(run.Events))}}}
	spans, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	said, sealed := sealProblems(run)
	r.Reasons = slices.Concat(clusterLost(run), said, phaseProblems(spans, ended), unexpectedEvents(run))
	silences, mattered := harmfulSilences(run, spans)
	r.Reasons = append(r.Reasons, mattered...)
	longest := int64(0)
	for _, s := range silences {
		longest = max(longest, s.to-s.from)
	}
	r.Metrics = append(r.Metrics, Metric{"longest silence of the harness", seconds(longest), "s"})
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary = Unknown, r.Reasons[0]
		r.Reasons = capped(r.Reasons)
	case !sealed:
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%d events from the beginning to the end; this run is from before histories were sealed, so whether all of them are there could not be checked", len(run.Events))
	default:
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%d events from the beginning to the end, sealed", len(run.Events))
	}
	return r
}

// formatSealed is the first format of run directories whose histories end with a seal and
// hold the starts and ends of processes. Those before it are 0.
const formatSealed = 1

// sealProblems lists what is wrong with the seal; old runs had none.
func sealProblems(run *Run) (reasons []string, sealed bool) {
	err := history.CheckSeal(run.Events)
	switch {
	case err == nil:
		return nil, true
	case errors.Is(err, history.ErrUnsealed) && run.Settings.Format < formatSealed:
		return nil, false
	case errors.Is(err, history.ErrUnsealed):
		return []string{err.Error() + ": its harness was killed, or the end of it was lost"}, false
	}
	return []string{err.Error()}, false
}

// clusterLost lists where the harness recorded that its cluster was gone.
func clusterLost(run *Run) (reasons []string) {
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Harness || e.F != history.FLost {
			continue
		}
		var how string
		if err := json.Unmarshal(e.Value, &how); err != nil {
			how = string(e.Value)
		}
		reasons = append(reasons, fmt.Sprintf("the cluster was lost at %s: %s", clock(e.Time), how))
	}
	return reasons
}

// The phases of a run that was not interrupted, in their order.
var wholeRun = []history.Phase{history.PhaseFaults, history.PhaseQuiet, history.PhaseFinal}

// phaseProblems lists how the phases differ from those of a whole run.
func phaseProblems(spans []phaseSpan, ended bool) (reasons []string) {
	var names []history.Phase
	for _, s := range spans {
		if s.name == history.PhaseInterrupt {
			reasons = append(reasons, fmt.Sprintf("interrupted after %s: what would have followed was not tried", clock(s.from)))
			continue
		}
		if s.name == history.PhaseFound {
			reasons = append(reasons, fmt.Sprintf("a violation was seen, and the run ended for that, after %s: what would have followed was not tried", clock(s.from)))
			continue
		}
		names = append(names, s.name)
	}
	begun := min(len(names), len(wholeRun))
	switch {
	case !slices.Equal(names[:begun], wholeRun[:begun]) || len(names) > len(wholeRun):
		reasons = append(reasons, fmt.Sprintf("the phases of a run are %v, and those of this history %v", wholeRun, names))
	case !ended:
		reasons = append(reasons, cutOff)
	case begun < len(wholeRun):
		reasons = append(reasons, fmt.Sprintf("the run ended without its phase %s", wholeRun[begun]))
	}
	return reasons
}

// unexpectedEvents lists events that no harness of this topology can have written.
func unexpectedEvents(run *Run) (reasons []string) {
	known := map[string]bool{"": true}
	for _, n := range run.Topology.Nodes() {
		known[n.Name] = true
	}
	of := map[history.Process][]history.Op{
		history.Observer: {history.FObserve, history.FPeers, history.FCopy, history.FWan, history.FEcho},
		history.Runtime:  {history.FProcess},
		history.Harness:  {history.FPhase, history.FLost, history.FSeal},
	}
	over := false
	for i := range run.Events {
		e := &run.Events[i]
		names, ours := of[e.Process]
		switch {
		case len(known) > 1 && !known[e.Node]:
			reasons = append(reasons, fmt.Sprintf("event %d is about node %q, which is none of the topology's", e.Index, e.Node))
		case ours && !slices.Contains(names, e.F):
			reasons = append(reasons, fmt.Sprintf("event %d: no harness writes %q", e.Index, e.F))
		case over && e.F != history.FSeal:
			reasons = append(reasons, fmt.Sprintf("event %d comes after the end", e.Index))
		}
		over = over || e.Process == history.Harness && e.F == history.FPhase && string(e.Value) == `"end"`
	}
	return reasons
}

// maxSilence is how long a history may be silent. The observer asks every node four times a
// second, and each answer, or that there was none within a second, is a line.
const maxSilence = int64(3 * time.Second)

// silence is a time in which the harness wrote nothing: it was stopped, or starved.
type silence struct{ from, to int64 }

// silent lists the silences of the phases of a run.
func silent(run *Run, spans []phaseSpan) (all []silence) {
	if len(spans) == 0 {
		return nil
	}
	before := spans[0].from
	for i := range run.Events {
		at := run.Events[i].Time
		if at-before > maxSilence && before >= spans[0].from {
			all = append(all, silence{before, at})
		}
		before = max(before, at)
	}
	return all
}

// harmfulSilences lists the silences, and describes those that cover a fault, or the time in
// which the cluster had to recover.
func harmfulSilences(run *Run, spans []phaseSpan) (all []silence, mattered []string) {
	all = silent(run, spans)
	for _, s := range all {
		words := fmt.Sprintf("the harness stood still from %s to %s", clock(s.from), clock(s.to))
		if recovering(spans, s) {
			mattered = append(mattered, words+", while the cluster had to recover")
			continue
		}
		for _, f := range run.Faults {
			if f.Start < s.to && f.Healed > s.from {
				mattered = append(mattered, fmt.Sprintf("%s, during step %d (%s)", words, f.Step, f.Name))
				break
			}
		}
	}
	return all, mattered
}

// recovering reports whether a silence covers a part of the run after its faults.
func recovering(spans []phaseSpan, s silence) bool {
	for _, p := range spans {
		if p.name != history.PhaseFaults && p.from < s.to && p.to > s.from {
			return true
		}
	}
	return false
}

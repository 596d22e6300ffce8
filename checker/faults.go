package checker

import (
	"context"
	"fmt"
	"strings"

	"faultline/workloads/history"
)

// FormatEvidence is the first [Settings].Format in which the history holds what was asked and
// what was measured of a fault as values, faults.Evidence, so that checkers decide whether its
// effect is verified. In earlier formats the history holds only the harness's own conclusion.
const FormatEvidence = 2

// FormatLatest is the [Settings].Format of runs that are made now; formatServed came last.
const FormatLatest = formatServed

// checkFaults asks whether the evidence shows that every fault was in force and was healed: a
// fault without effect tests nothing. It is never invalid, because it is about the harness.
// A step that its schedule lets be skipped is no gap, and no proof either: a run of nothing else is unknown.
func checkFaults(_ context.Context, run *Run) Result {
	_, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	planned := run.Settings.PlannedFaults
	r := Result{Verdict: Valid, Metrics: []Metric{
		{Name: "planned", Value: float64(planned)},
		{Name: "begun", Value: float64(len(run.Faults))},
		{Name: "measured effect", Value: float64(count(run.Faults, func(f history.Fault) bool { return f.Verified }))},
		{Name: "measured heal", Value: float64(count(run.Faults, func(f history.Fault) bool { return f.HealVerified }))},
	}}
	if !ended {
		r.Reasons = append(r.Reasons, cutOff)
	}
	skipped, err := history.Skipped(run.Events)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	if len(skipped) > 0 {
		r.Metrics = append(r.Metrics, Metric{Name: "skipped", Value: float64(len(skipped))})
	}
	switch begun := len(run.Faults); {
	case begun+len(skipped) < planned:
		r.Reasons = append(r.Reasons, fmt.Sprintf("only %d of %d planned faults began", begun, planned))
	case begun == 0 && planned > 0:
		r.Reasons = append(r.Reasons, "no planned fault began"+sayingSkipped(skipped))
	}
	for _, f := range run.Faults {
		r.Reasons = append(r.Reasons, unverifiedStages(f)...)
	}
	missing, err := missingEvidence(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	r.Reasons = append(r.Reasons, missing...)
	if len(run.Faults) > 0 {
		last, err := baselineLast(run.Events)
		if err != nil {
			return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
		}
		r.Reasons = append(r.Reasons, baselineProblems(run, last)...)
	}
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary = Unknown, r.Reasons[0]
		r.Reasons = capped(r.Reasons)
	case len(run.Faults) == 0:
		r.Summary = "no faults were asked for"
	default:
		r.Summary = fmt.Sprintf("%s measured and healed", plural(len(run.Faults), "fault")) + sayingSkipped(skipped)
	}
	return r
}

// sayingSkipped names the steps that were skipped, and why; empty if none was.
func sayingSkipped(all []history.Skip) string {
	if len(all) == 0 {
		return ""
	}
	var each []string
	for _, s := range all {
		each = append(each, fmt.Sprintf("step %d, %s (%s)", s.Step, s.Name, s.Why))
	}
	return fmt.Sprintf("; %d skipped: %s", len(all), strings.Join(capped(each), "; "))
}

// missingEvidence lists the stages that are said to be done and have no evidence, in a run
// whose harness records it.
func missingEvidence(run *Run) (reasons []string, err error) {
	if run.Settings.Format < FormatEvidence {
		return nil, nil
	}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Nemesis {
			continue
		}
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil {
			return nil, fmt.Errorf("event %d: a fault event that cannot be read: %w", e.Index, err)
		}
		if m.Done && m.Evidence == nil {
			reasons = append(reasons, fmt.Sprintf("event %d: %s of %s is said to be done, and there is no evidence of it", e.Index, m.Stage, e.F))
		}
	}
	return reasons, nil
}

func count(faults []history.Fault, is func(history.Fault) bool) (n int) {
	for _, f := range faults {
		if is(f) {
			n++
		}
	}
	return n
}

// unverifiedStages lists what is missing in the record of a fault.
func unverifiedStages(f history.Fault) (reasons []string) {
	name := fmt.Sprintf("step %d, %s", f.Step, f.Name)
	if len(f.Targets) > 0 {
		name += " on " + strings.Join(f.Targets, ", ")
	}
	if !f.Verified {
		reasons = append(reasons, fmt.Sprintf("%s: its effect was not verified%s", name, mismatch(f.Asked, f.Measured, f.Error)))
	}
	switch {
	case f.Momentary:
	case f.Healed == history.Pending:
		reasons = append(reasons, name+": its heal was never done")
	case !f.HealVerified:
		reasons = append(reasons, fmt.Sprintf("%s: its heal was not verified%s", name, mismatch("", f.HealMeasured, f.Error)))
	}
	return reasons
}

// baselineProblems lists what is wrong with the final check.
func baselineProblems(run *Run, last bool) []string {
	baseline := run.Baseline
	switch {
	case baseline == nil:
		return []string{"the cluster was not checked after the last heal"}
	case !baseline.Verified:
		return []string{"after the last heal the cluster was not as before" + mismatch(baseline.Asked, baseline.Measured, baseline.Error)}
	case baseline.Evidence != nil && (baseline.Evidence.Want == nil || !baseline.Evidence.Want.Equal(run.Topology.Baseline())):
		return []string{"the final check did not ask for the cluster to be as its topology says"}
	case !last:
		return []string{"the final check came before the last heal was done"}
	}
	return nil
}

// mismatch says what was asked and what was measured, as far as that is known.
func mismatch(asked, measured, failure string) string {
	var parts []string
	if asked != "" {
		parts = append(parts, "asked: "+asked)
	}
	if measured != "" {
		parts = append(parts, "measured: "+measured)
	}
	if failure != "" {
		parts = append(parts, failure)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// baselineLast reports whether the nemesis ended with a check of the baseline.
func baselineLast(events []history.Event) (bool, error) {
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Process != history.Nemesis {
			continue
		}
		m, err := history.ParseFaultEvent(events[i].Value)
		if err != nil {
			return false, fmt.Errorf("event %d: a fault event that cannot be read: %w", events[i].Index, err)
		}
		return m.Stage == history.Baseline && m.Done, nil
	}
	return false, nil
}

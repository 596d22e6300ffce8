package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"faultline/workloads/history"
)

// checkFaults asks whether the nemesis did what it was asked to: a fault that never bit
// proves nothing about the system. It is never invalid, because it is about the harness.
func checkFaults(_ context.Context, run *Run) Result {
	_, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	planned := run.Settings.PlannedFaults
	r := Result{Verdict: Valid, Figures: []Figure{
		{Name: "planned", Value: float64(planned)},
		{Name: "begun", Value: float64(len(run.Faults))},
		{Name: "measured effect", Value: float64(count(run.Faults, func(f history.Fault) bool { return f.Proved }))},
		{Name: "measured heal", Value: float64(count(run.Faults, func(f history.Fault) bool { return f.HealProved }))},
	}}
	if !ended {
		r.Reasons = append(r.Reasons, cutOff)
	}
	if begun := len(run.Faults); begun < planned {
		r.Reasons = append(r.Reasons, fmt.Sprintf("only %d of %d planned faults began", begun, planned))
	}
	for _, f := range run.Faults {
		r.Reasons = append(r.Reasons, unproved(f)...)
	}
	if len(run.Faults) > 0 {
		last, err := baselineLast(run.Events)
		if err != nil {
			return Result{Verdict: Unknown, Summary: err.Error(), Figures: r.Figures}
		}
		r.Reasons = append(r.Reasons, unsound(run.Baseline, last)...)
	}
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary = Unknown, r.Reasons[0]
		r.Reasons = capped(r.Reasons)
	case len(run.Faults) == 0:
		r.Summary = "no faults were asked for"
	default:
		r.Summary = fmt.Sprintf("%s measured and healed", plural(len(run.Faults), "fault"))
	}
	return r
}

func count(faults []history.Fault, is func(history.Fault) bool) (n int) {
	for _, f := range faults {
		if is(f) {
			n++
		}
	}
	return n
}

// unproved tells what is missing in the record of a fault.
func unproved(f history.Fault) (reasons []string) {
	name := fmt.Sprintf("step %d, %s", f.Step, f.Name)
	if len(f.Targets) > 0 {
		name += " on " + strings.Join(f.Targets, ", ")
	}
	if !f.Proved {
		reasons = append(reasons, fmt.Sprintf("%s: its effect was not proved%s", name, mismatch(f.Asked, f.Measured, f.Error)))
	}
	switch {
	case f.Momentary:
	case f.Healed == history.Pending:
		reasons = append(reasons, name+": its heal was never done")
	case !f.HealProved:
		reasons = append(reasons, fmt.Sprintf("%s: its heal was not proved%s", name, mismatch("", f.HealMeasured, f.Error)))
	}
	return reasons
}

// unsound tells what is wrong with the final check.
func unsound(baseline *history.FaultMark, last bool) []string {
	switch {
	case baseline == nil:
		return []string{"the cluster was not checked after the last heal"}
	case !baseline.Proved:
		return []string{"after the last heal the cluster was not as before" + mismatch(baseline.Asked, baseline.Measured, baseline.Error)}
	case !last:
		return []string{"the final check came before the last heal was done"}
	}
	return nil
}

// mismatch tells what was asked and what was found, as far as that is known.
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

// baselineLast tells whether the last thing that the nemesis did was to check the baseline.
func baselineLast(events []history.Event) (bool, error) {
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Process != history.Nemesis {
			continue
		}
		var m history.FaultMark
		if err := json.Unmarshal(events[i].Value, &m); err != nil {
			return false, fmt.Errorf("event %d: a fault mark that cannot be read: %w", events[i].Index, err)
		}
		return m.Stage == history.Baseline && m.Done, nil
	}
	return false, nil
}

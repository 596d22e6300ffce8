package checker

import (
	"context"
	"fmt"
	"time"

	"faultline/workloads/history"
)

// checkLoad asks whether clients did enough for a verdict of valid. It
// is never invalid, because it is about the harness.
func checkLoad(_ context.Context, run *Run) Result {
	_, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	good, reads, changed := 0, 0, 0
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Type != history.OK {
			continue
		}
		good++
		switch {
		case op.F.Reads():
			reads++
		case changes(op.F):
			changed++
		}
	}
	r := Result{Verdict: Valid, Metrics: []Metric{
		{Name: "operations", Value: float64(len(run.Ops))},
		{Name: "succeeded", Value: float64(good)},
		{Name: "reads that succeeded", Value: float64(reads)},
		{Name: "writes and compare-and-sets that succeeded", Value: float64(changed)},
	}}
	if !ended {
		r.Reasons = append(r.Reasons, cutOff)
	}
	if good < run.Settings.MinOps {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d operations succeeded; fewer than %d are not enough", good, run.Settings.MinOps))
	}
	if reads == 0 {
		r.Reasons = append(r.Reasons, "no read succeeded")
	}
	if changed == 0 {
		r.Reasons = append(r.Reasons, "no write or compare-and-set succeeded")
	}
	for _, f := range run.Faults {
		if !f.Momentary && !tried(run.Ops, f) {
			r.Reasons = append(r.Reasons, fmt.Sprintf("step %d, %s: no client asked for anything while it lasted", f.Step, f.Name))
		}
	}
	r.Summary = fmt.Sprintf("%d operations succeeded: %d reads, %d writes and compare-and-sets", good, reads, changed)
	if len(r.Reasons) > 0 {
		r.Verdict, r.Summary = Unknown, r.Reasons[0]
		r.Reasons = capped(r.Reasons)
	}
	return r
}

// askedWithin is from the start of a fault on. Clients that all wait for an answer ask for nothing meanwhile, and a fault
// may be over sooner.
const askedWithin = time.Second

// tried reports whether an operation began or was answered during the fault, or within askedWithin of its start. One that
// hangs since before it says nothing.
func tried(ops []history.Operation, f history.Fault) bool {
	during := func(t int64) bool { return t >= f.Start && t < max(f.Heal, f.Start+int64(askedWithin)) }
	for i := range ops {
		if op := &ops[i]; during(op.Invoke) || op.Return != history.Pending && during(op.Return) {
			return true
		}
	}
	return false
}

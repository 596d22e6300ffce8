package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"faultline/checker"
	"faultline/workloads/history"
)

// tally counts operations by how they ended.
type tally struct{ OK, Fail, Info int }

func (t *tally) add(kind history.Type) {
	switch kind {
	case history.OK:
		t.OK++
	case history.Fail:
		t.Fail++
	default:
		t.Info++
	}
}

// All is their sum.
func (t tally) All() int { return t.OK + t.Fail + t.Info }

func (t tally) String() string {
	return fmt.Sprintf("%s ok, %s fail, %s info", thousands(t.OK), thousands(t.Fail), thousands(t.Info))
}

func tallyOf(ops []history.Operation) (t tally) {
	for _, op := range ops {
		t.add(op.Type)
	}
	return t
}

// extent is how long the history is, in nanoseconds; at least a millisecond, so that it
// can be a divisor.
func extent(d Data) int64 {
	end := int64(time.Millisecond)
	if events := d.run().Events; len(events) > 0 {
		end = max(end, events[len(events)-1].Time)
	}
	return end
}

// seriousness sorts results: what decided the verdict comes first.
var seriousness = map[checker.Verdict]int{checker.Invalid: 0, checker.Unknown: 1, checker.Valid: 2, checker.NotApplicable: 3}

// troubles are the results that count against a run, the worst first.
func troubles(results []checker.Result) []checker.Result {
	bad := slices.DeleteFunc(slices.Clone(results), func(r checker.Result) bool { return r.Verdict == checker.Valid || r.Verdict == checker.NotApplicable })
	slices.SortStableFunc(bad, func(a, b checker.Result) int {
		return cmp.Or(cmp.Compare(seriousness[a.Verdict], seriousness[b.Verdict]), cmp.Compare(explains[a.Checker], explains[b.Checker]))
	})
	return bad
}

// explains puts a checker before others that are as serious: where the record is not whole,
// that is why the rest could not be judged.
var explains = map[string]int{"record": -1}

// headline says in one sentence why the verdict is what it is.
func headline(d Data) string {
	bad := troubles(d.Results)
	switch {
	case len(d.Results) == 0:
		return "Nothing was judged: no checker looked at this run."
	case d.Verdict == checker.Valid && len(bad) == 0:
		return fmt.Sprintf("No broken promise was found by %s over %s%s.",
			count(judged(d.Results), "checker"), count(len(d.run().Ops), "operation"), faultClause(d.run().Faults))
	case len(bad) == 0:
		return "Every checker passed, and yet the run as a whole is " + string(d.Verdict) + "; see the notes."
	}
	return sentenceOf(bad[0])
}

// judged counts the checkers that were applicable.
func judged(results []checker.Result) (n int) {
	for _, r := range results {
		if r.Verdict != checker.NotApplicable {
			n++
		}
	}
	return n
}

func sentenceOf(r checker.Result) string {
	return r.Checker + ": " + cmp.Or(r.Summary, strings.Join(r.Reasons, "; "), "no reason was given")
}

// otherReasons are the reasons of a result that its summary and the first few of its
// counterexamples, which are shown anyway, do not already say.
func otherReasons(r checker.Result, few int) []string {
	said := []string{r.Summary}
	for _, c := range r.Counterexamples[:min(few, len(r.Counterexamples))] {
		said = append(said, "key "+c.Key+": "+c.Why)
	}
	return slices.DeleteFunc(slices.Clone(r.Reasons), func(reason string) bool {
		return slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, reason) })
	})
}

// budget says what a checker that searches was given and what it used, and what of its verdict
// depends on that. It is empty for one that does not search.
func budget(r checker.Result) string {
	b := r.Budget
	if b == nil {
		return ""
	}
	limit := "no limit of time"
	if b.WallSeconds > 0 {
		limit = span(time.Duration(b.WallSeconds * 1e9))
	}
	peak := "peak of memory unknown"
	if b.PeakMemoryMB > 0 {
		peak = "peak of memory " + metric(checker.Metric{Value: b.PeakMemoryMB, Unit: "MiB"})
	}
	text := fmt.Sprintf("Budget of the search: %s, %s MiB, %s; used: %s, %s. Valid and invalid never depend on the budget, unknown may.",
		limit, thousands(b.MemoryMB), count(b.Cores, "core"), span(time.Duration(b.UsedWallSeconds*1e9)), peak)
	if b.Exhausted {
		text += " It ran out: more time (check-time) or memory (check-memory-mb) may decide what is open."
	}
	return text
}

// faultClause says of faults only what was measured.
func faultClause(faults []history.Fault) string {
	if len(faults) == 0 {
		return ", without any fault"
	}
	verified := 0
	for _, f := range faults {
		if f.Verified && f.HealVerified {
			verified++
		}
	}
	if verified == len(faults) {
		return fmt.Sprintf(" and %s, each with measured effect", count(len(faults), "fault"))
	}
	return fmt.Sprintf(" and %s, %s of them with measured effect", count(len(faults), "fault"), thousands(verified))
}

// meanings explain the verdicts of runs to a reader who meets them for the first time.
var meanings = map[checker.Verdict]string{
	checker.Valid:   "The record of this run shows no broken promise, and enough was done and measured for that to mean something.",
	checker.Invalid: "The system broke a promise: the record of this run holds what no correct system could have produced.",
	checker.Unknown: "The run can be called neither good nor bad; the reasons say what is lacking.",
}

// phase is a part of the run.
type phase struct {
	Name       history.Phase
	From, Till int64
}

// phasesOf lists the parts of a run in order; the last one lasts until the history ends.
func phasesOf(events []history.Event, end int64) []phase {
	var all []phase
	for _, e := range events {
		if e.Process != history.Harness || e.F != history.FPhase {
			continue
		}
		var name history.Phase
		if err := json.Unmarshal(e.Value, &name); err != nil {
			name = history.Phase(e.Value) // shown as it stands
		}
		if n := len(all); n > 0 {
			all[n-1].Till = e.Time
		}
		all = append(all, phase{name, e.Time, end})
	}
	return slices.DeleteFunc(all, func(p phase) bool { return p.Name == history.PhaseEnd })
}

// faultLabel names a fault with its step and what it hit: #3 partition dc1-s1 dc1-c1.
func faultLabel(f history.Fault) string {
	label := fmt.Sprintf("#%d %s", f.Step, f.Name)
	if len(f.Targets) > 0 {
		label += " " + strings.Join(f.Targets, " ")
	}
	return label
}

// over is when a fault no longer worked, as far as the history knows.
func over(f history.Fault, end int64) int64 { return min(f.Healed, end) }

// during lists the faults that were in force at some time of [from, till].
func during(faults []history.Fault, from, till int64) []history.Fault {
	var hit []history.Fault
	for _, f := range faults {
		if f.Start <= till && f.Healed >= from {
			hit = append(hit, f)
		}
	}
	return hit
}

// quantile is the nearest-rank quantile of sorted values, as in package checker: the
// smallest of which at least the share q is not above it. 0 of none.
func quantile(sorted []int64, q float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

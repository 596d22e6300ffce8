package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/workloads/history"
)

// checkProgress judges liveness while a minority of servers is broken, after the second phase of
// TigerBeetle's simulator (docs/internals/vopr.md): whenever a majority of the servers is certainly well
// for longer than Settings.RecoverWithin, and all others are certainly silent, writes and reads that are
// asked of the majority succeed within that bound, and go on to. See majorityWindows for what certain
// means.
//
// Raft's own terms are far shorter: a new leader after one or a few election timeouts, 1 s each at Consul's
// raft_multiplier 1 and 5 s at 5; the bound also covers clients that wait for their timeouts.
func checkProgress(_ context.Context, run *Run) Result {
	all, err := majorityWindows(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid}
	var total, slowest int64
	judged, doubtful := 0, 0
	for _, w := range longEnough(run, all) {
		longest, problems, sure := judgeWindow(run, w)
		if !sure {
			doubtful++
		} else {
			judged, total, slowest = judged+1, total+w.to-w.from, max(slowest, longest)
		}
		r.Reasons = append(r.Reasons, problems...)
	}
	r.Metrics = []Metric{
		{"times with a majority that was surely well", float64(len(all)), ""},
		{"of these judged", float64(judged), ""},
		{"of these long enough, but clients did not try enough", float64(doubtful), ""},
		{"judged", seconds(total), "s"},
		{"longest time without an answer in them", seconds(slowest), "s"},
	}
	r.Summary = fmt.Sprintf("in %s, %s altogether, a majority of the servers was surely well, and served: never more than %s without a write or a read",
		plural(judged, "window"), time.Duration(total).Round(time.Second), ms(slowest))
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, r.Reasons[0], capped(r.Reasons)
	case judged == 0:
		r.Verdict, r.Summary = NotApplicable, "clients did not try enough while a majority of the servers was surely well"
	}
	return r
}

// outlastsBound is what a run lacks whose servers, as far as is certain, were never well in a majority for
// longer than the bound, or in which an outage need not be the system's doing.
func outlastsBound(run *Run) string {
	if run.Settings.RecoverWithin == 0 {
		return "the scenario sets no bound for recovery"
	}
	if reasons := append(clusterLost(run), foreignKills(run)...); len(reasons) > 0 {
		return reasons[0]
	}
	all, err := majorityWindows(run)
	if err == nil && len(longEnough(run, all)) == 0 {
		return fmt.Sprintf("a majority of the servers was never surely well for longer than the %s in which it has to serve again", ms(int64(run.Settings.RecoverWithin)))
	}
	return "" // of an error the check itself tells
}

// longEnough are the windows in which the bound can be broken, and the harness did not stand still.
func longEnough(run *Run, all []majorityWindow) []majorityWindow {
	spans, _, _, err := phases(run)
	if err != nil {
		return nil
	}
	still := silent(run, spans)
	return slices.DeleteFunc(slices.Clone(all), func(w majorityWindow) bool {
		return w.to-w.from <= int64(run.Settings.RecoverWithin) ||
			slices.ContainsFunc(still, func(s silence) bool { return s.from < w.to && s.to > w.from })
	})
}

// judgeWindow looks for stretches without an answer that are longer than the bound, of writes and of reads.
// It is sure unless clients rested for half of the bound in such a stretch.
func judgeWindow(run *Run, w majorityWindow) (longest int64, problems []string, sure bool) {
	limit := int64(run.Settings.RecoverWithin)
	sure = true
	for _, k := range []kind{{"write", "", changes}, {"read", "", history.Op.Reads}} {
		last := w.from
		for _, at := range append(answersIn(run, w, k), w.to) {
			from, took := last, at-last
			last = at
			if took <= limit {
				longest = max(longest, took)
				continue
			}
			asks := func(e *history.Event) bool { return k.is(e.F) && slices.Contains(w.servers, e.Node) }
			if longestIdle(run.Events, asks, from, from+limit) > limit/2 {
				sure = false
				continue
			}
			longest = max(longest, took)
			problems = append(problems, fmt.Sprintf("no %s asked of %s succeeded from %s to %s, though they are a majority of the servers and nothing was wrong with them or between them since %s%s; allowed are %s",
				k.name, strings.Join(w.servers, ", "), clock(from), clock(at), clock(w.from), brokenThen(run, w), ms(limit)))
		}
	}
	return longest, problems, sure
}

// answersIn are the times, in order, of answers of the majority to what was asked for in the window.
func answersIn(run *Run, w majorityWindow, k kind) (times []int64) {
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Invoke >= w.from && op.Return <= w.to && k.is(op.F) && served(op) && slices.Contains(w.servers, op.Node) {
			times = append(times, op.Return)
		}
	}
	slices.Sort(times)
	return times
}

// brokenThen names the faults that were in force in a window.
func brokenThen(run *Run, w majorityWindow) string {
	var names []string
	for _, f := range run.Faults {
		if !f.Momentary && f.Start < w.from && f.Healed > w.from {
			names = append(names, fmt.Sprintf("%s of %s", f.Name, strings.Join(f.Targets, ", ")))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, "; ") + " was in force)"
}

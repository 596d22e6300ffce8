package checker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"faultline/workloads/history"
)

// checkAvailability measures how well clients were served, and judges one promise: once
// everything is healed, a write (or compare-and-set) and a read succeed within
// Settings.RecoverWithin, and so does each node that clients ask, and each operation that had
// succeeded before; of several datacenters, so does the data of each, whoever is asked. An outage during a fault is a metric and never a verdict:
// which of them are excusable depends on the fault. Nor is one that the machine, or the
// harness, caused: see excuse.
func checkAvailability(_ context.Context, run *Run) Result {
	spans, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid, Metrics: availabilityMetrics(run, spans)}
	if len(run.Ops) == 0 {
		r.Verdict, r.Summary = Unknown, "no client asked for anything"
		return r
	}
	since, after, err := lastHeal(run)
	if err != nil {
		r.Verdict, r.Summary = Unknown, err.Error()
		return r
	}
	excuses := excuse(run)
	var said []string
	dcs, parts := run.parts()
	for i, part := range parts {
		for _, k := range []kind{{"write", "wrote", changes}, {"read", "read", history.Op.Reads}} {
			v, text := recovered(part, k, since, after)
			text = inDC(dcs[i], text)
			if v != Valid {
				r.Reasons = append(r.Reasons, text)
			}
			if v == Invalid && len(excuses) > 0 {
				v = Unknown
				r.Reasons = append(r.Reasons, excuses...)
			}
			if badness[v] > badness[r.Verdict] {
				r.Verdict = v
			}
			said = append(said, text)
		}
	}
	if !ended {
		r.Verdict = Worst(r.Verdict, Unknown)
		r.Reasons = append(r.Reasons, cutOff)
	}
	for i, part := range parts {
		if run.Settings.Format < formatServed {
			break
		}
		v, texts := recoveredEverywhere(part, since, after)
		for j := range texts {
			texts[j] = inDC(dcs[i], texts[j])
		}
		if v == Invalid && len(excuses) > 0 {
			v = Unknown
			texts = append(texts, excuses...)
		}
		if badness[v] > badness[r.Verdict] {
			r.Verdict = v
		}
		r.Reasons = append(r.Reasons, texts...)
	}
	r.Summary = strings.Join(said, "; ")
	if len(r.Reasons) > 0 {
		r.Summary = r.Reasons[0]
	}
	return r
}

// excuse lists why an outage cannot be held against the system: a fault after which no correct
// cluster has to recover; a heal, or a baseline, that was not verified, so that a fault may
// still be in force; a cluster that was lost, or processes that were killed from outside; a
// harness that was stopped.
func excuse(run *Run) (reasons []string) {
	for _, f := range run.Faults {
		switch {
		case f.Fatal:
			reasons = append(reasons, fmt.Sprintf("step %d (%s) was allowed to leave fewer voters than a majority, so no recovery is due", f.Step, f.Name))
		case !f.Momentary && !f.HealVerified:
			reasons = append(reasons, fmt.Sprintf("the heal of step %d (%s) was not verified, so no recovery from it is due", f.Step, f.Name))
		}
	}
	// A run that was cut off has no baseline, and is unknown for that.
	if run.Baseline != nil && !run.Baseline.Verified {
		reasons = append(reasons, "the cluster was not seen as it was before the faults, so no recovery is due")
	} else if run.Baseline == nil && len(run.Faults) > 0 {
		reasons = append(reasons, "whether all was healed was never checked, so no recovery is due")
	}
	reasons = append(reasons, clusterLost(run)...)
	reasons = append(reasons, foreignKills(run)...)
	spans, _, _, err := phases(run)
	if err != nil {
		return append(reasons, err.Error())
	}
	for _, s := range silent(run, spans) {
		if !recovering(spans, s) {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("the harness stood still from %s to %s, and its clients with it", clock(s.from), clock(s.to)))
	}
	return reasons
}

// kind is a kind of operation that has to recover.
type kind struct {
	name, did string
	is        func(f history.Op) bool
}

// lastHeal is the time from which the system must recover: the check of the
// baseline after the last heal or, before there was one, the last heal; in a run without faults, the first
// request.
func lastHeal(run *Run) (at int64, after string, err error) {
	at, after = run.Ops[0].Invoke, "the first request"
	for _, f := range run.Faults {
		if f.Healed == history.Pending {
			return 0, "", fmt.Errorf("step %d (%s) was never healed, so recovery was not tested", f.Step, f.Name)
		}
		if f.Healed > at {
			at, after = f.Healed, "the last heal"
		}
	}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Nemesis || e.F == history.FBaselineEnd {
			continue
		}
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil {
			return 0, "", fmt.Errorf("event %d: a fault event that cannot be read: %w", e.Index, err)
		}
		if m.Stage == history.Baseline && m.Done && len(run.Faults) > 0 {
			at, after = e.Time, "the last heal"
		}
	}
	return at, after, nil
}

// recovered judges one kind of operation. Not succeeding within the bound is held against
// the system only if clients went on trying for so long.
func recovered(run *Run, k kind, since int64, after string) (Verdict, string) {
	limit := int64(run.Settings.RecoverWithin)
	at, ok := firstOK(run.Ops, since, k.is)
	took := at - since
	if ok && (limit == 0 || took <= limit) {
		return Valid, fmt.Sprintf("clients %s %s after %s", k.did, ms(took), after)
	}
	if limit == 0 {
		return Unknown, fmt.Sprintf("no %s succeeded after %s, and the scenario sets no bound for that", k.name, after)
	}
	if left := runEnd(run) - since; left < limit {
		return Unknown, fmt.Sprintf("no %s succeeded after %s, but the record ends %s later and %s are allowed",
			k.name, after, ms(left), ms(limit))
	}
	if idle := longestIdle(run.Events, func(e *history.Event) bool { return k.is(e.F) }, since, since+limit); idle > limit/2 {
		return Unknown, fmt.Sprintf("no %s succeeded within the %s allowed after %s, but for %s of them no client tried",
			k.name, ms(limit), after, ms(idle))
	}
	if ok {
		return Invalid, fmt.Sprintf("the first %s after %s took %s to succeed; allowed are %s", k.name, after, ms(took), ms(limit))
	}
	return Invalid, fmt.Sprintf("no %s succeeded in the %s after %s; allowed are %s",
		k.name, ms(runEnd(run)-since), after, ms(limit))
}

// formatServed is the first format of run directories whose sessions wait, within Settings.RecoverWithin,
// until every node serves reads and changes again, and every operation succeeds again.
const formatServed = 3

const (
	leastAsked    = 5  // operations that a node must have failed for that to mean something
	leastAskedFor = 50 // operations of one kind, some of which may be refused for a good reason
)

// recoveredEverywhere judges each node by itself, and each operation: one that was asked for again and again
// after a time, until the record ends, and never served, has not recovered. Of nodes refusals count
// as served (a compare that did not hold); of operations only success does: a lock that nobody ever gets
// again is always another's.
func recoveredEverywhere(run *Run, since int64, after string) (v Verdict, texts []string) {
	type tried struct {
		asked, failed int
		served        bool
		first         int64 // when it was asked for first
		last          history.Code
	}
	nodes := map[string]*tried{} // by node and kind
	ops := map[string]*tried{}   // by operation
	succeeded := map[history.Op]bool{}
	look := func(of map[string]*tried, name string, op *history.Operation, ok bool) {
		t := of[name]
		if t == nil {
			t = &tried{first: op.Invoke}
			of[name] = t
		}
		t.asked++
		if ok {
			t.served = true
		} else if op.Return != history.Pending || op.Error != "unanswered" {
			t.failed, t.last = t.failed+1, op.Error
		}
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Invoke < since {
			succeeded[op.F] = succeeded[op.F] || op.Type == history.OK
			continue
		}
		kind := "change"
		if op.F.Reads() {
			kind = "read"
		}
		look(nodes, op.Node+" served no "+kind, op, served(op))
		look(ops, fmt.Sprintf("no %s succeeded", op.F), op, op.Type == history.OK)
	}
	limit, end := int64(run.Settings.RecoverWithin), clientsEnd(run)
	v = Valid
	judge := func(of map[string]*tried, least int) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			t := of[name]
			if t.served || t.failed < least {
				continue
			}
			text := fmt.Sprintf("%s in the %s after %s, in %d tries (the last: %s)", name, ms(end-since), after, t.failed, t.last)
			if limit > 0 && end-max(since, t.first) >= limit {
				v, texts = Invalid, append(texts, fmt.Sprintf("%s; allowed are %s", text, ms(limit)))
				continue
			}
			v, texts = Worst(v, Unknown), append(texts, text)
		}
	}
	judge(nodes, leastAsked)
	for name := range ops {
		if f := strings.Fields(name)[1]; !succeeded[history.Op(f)] {
			delete(ops, name)
		}
	}
	judge(ops, leastAskedFor)
	return v, texts
}

// longestIdle is the longest time between from and to in which no operation whose events are of this kind
// was open that had been asked for since from.
func longestIdle(events []history.Event, is func(*history.Event) bool, from, to int64) int64 {
	open := map[history.Process]bool{}
	longest, since := int64(0), from
	for i := range events {
		e := &events[i]
		if e.Process < 0 || !is(e) || e.Time < from || e.Time > to {
			continue
		}
		switch {
		case e.Type == history.Invoke:
			if len(open) == 0 {
				longest = max(longest, e.Time-since)
			}
			open[e.Process] = true
		case open[e.Process]:
			delete(open, e.Process)
			since = e.Time
		}
	}
	if len(open) == 0 {
		longest = max(longest, to-since)
	}
	return longest
}

func availabilityMetrics(run *Run, spans []phaseSpan) []Metric {
	var figures []Metric
	for _, p := range spans {
		figures = append(figures, phaseMetrics(run, p)...)
	}
	inside, outside := longestOutages(run, spans)
	figures = append(figures,
		Metric{"longest outage inside faults", seconds(inside), "s"},
		Metric{"longest outage outside faults", seconds(outside), "s"})
	slowest, lost := time.Duration(0), 0
	for _, r := range Recoveries(run) {
		slowest = max(slowest, r.After)
		if !r.Recovered {
			lost++
		}
	}
	figures = append(figures,
		Metric{"slowest recovery after a heal", slowest.Seconds(), "s"},
		Metric{"heals without a write after them", float64(lost), ""})
	return append(figures, wayMetrics(run)...)
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// phaseMetrics counts the operations asked for in a phase.
func phaseMetrics(run *Run, p phaseSpan) []Metric {
	total, good := 0, 0
	var spans []int64
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Invoke < p.from || op.Invoke >= p.to {
			continue
		}
		total++
		if served(op) {
			good++
			spans = append(spans, op.Return-op.Invoke)
		}
	}
	if total == 0 {
		return nil
	}
	slices.Sort(spans)
	name := string(p.name)
	return []Metric{
		{name + ": success rate", 100 * float64(good) / float64(total), "%"},
		{name + ": served", float64(good) / max(seconds(p.to-p.from), 1e-9), "ops/s"},
		{name + ": latency p50", quantile(spans, 0.50).Seconds() * 1000, "ms"},
		{name + ": latency p99", quantile(spans, 0.99).Seconds() * 1000, "ms"},
	}
}

// longestOutages finds the longest time without any answer, as far as it lay inside of
// faults and as far as outside, while clients ran at full rate (not in the final reads).
func longestOutages(run *Run, spans []phaseSpan) (inside, outside int64) {
	if len(run.Ops) == 0 {
		return 0, 0
	}
	from, to := run.Ops[0].Invoke, runEnd(run)
	if i := slices.IndexFunc(spans, func(p phaseSpan) bool { return p.name == history.PhaseFinal }); i >= 0 {
		to = spans[i].from
	}
	var good []int64
	for i := range run.Ops {
		if op := &run.Ops[i]; served(op) && op.Return < to {
			good = append(good, op.Return)
		}
	}
	slices.Sort(good)
	bands := faultBands(run.Faults)
	for _, at := range append(good, to) {
		in, out := split(from, at, bands)
		inside, outside = max(inside, in), max(outside, out)
		from = at
	}
	return inside, outside
}

type band struct{ from, to int64 }

// faultBands is when there was at least one fault, in order and without overlap.
func faultBands(faults []history.Fault) (bands []band) {
	all := make([]band, 0, len(faults))
	for _, f := range faults {
		all = append(all, band{f.Start, f.Healed})
	}
	slices.SortFunc(all, func(a, b band) int { return cmp.Compare(a.from, b.from) })
	for _, b := range all {
		if n := len(bands); n > 0 && b.from <= bands[n-1].to {
			bands[n-1].to = max(bands[n-1].to, b.to)
			continue
		}
		bands = append(bands, b)
	}
	return bands
}

// split is the longest stretch of a gap inside and outside of the bands.
func split(from, to int64, bands []band) (inside, outside int64) {
	i, _ := slices.BinarySearchFunc(bands, from, func(b band, t int64) int { return cmp.Compare(b.to, t) })
	for ; i < len(bands) && bands[i].from < to; i++ {
		b := bands[i]
		outside = max(outside, b.from-from)
		inside = max(inside, min(to, b.to)-max(from, b.from))
		from = b.to
	}
	return inside, max(outside, to-from)
}

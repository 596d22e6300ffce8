package checker

import (
	"context"
	"fmt"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// settleWindow is how long before the final reads an answer still counts for the end.
const settleWindow = int64(3 * time.Second)

// checkNodes asks of every node by itself what availability asks of the cluster: once all is
// healed, each that should run answers, and each server knows a leader. The session waits
// for that before the final reads, no longer than Settings.RecoverWithin after the last
// heal. One good answer from shortly before the final reads on is enough; silence is only
// held against a node if it lasted for all of that time.
func checkNodes(_ context.Context, run *Run) Result {
	spans, ended, interrupted, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid}
	due := run.Topology.Started()
	r.Metrics = []Metric{{Name: "nodes that should run", Value: float64(len(due))}}
	if len(run.Ops) == 0 {
		return Result{Verdict: Unknown, Summary: "no client asked for anything", Metrics: r.Metrics}
	}
	since, _, err := lastHeal(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	from := runEnd(run)
	for _, p := range spans {
		if p.name == history.PhaseFinal {
			from = p.from
		}
	}
	from = max(since, from-settleWindow)
	excuses := excuse(run)
	limit := int64(run.Settings.RecoverWithin)
	for _, n := range due {
		seen, err := answersOf(run, n)
		if err != nil {
			return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
		}
		last, tried := seen.lastGood(since)
		if last >= from {
			continue
		}
		silent := runEnd(run) - max(since, last)
		text := fmt.Sprintf("%s at the end of the run, %s after the last heal: %s", n.Name, ms(runEnd(run)-since), seen.why)
		if served := servedBy(run, n.Name, max(since, last)); served != "" {
			r.Verdict = Worst(r.Verdict, Unknown)
			r.Reasons = append(r.Reasons, text+"; "+served)
			continue
		}
		switch {
		case limit > 0 && silent >= limit && tried >= minTries && len(excuses) == 0 && !interrupted:
			r.Verdict = Invalid
			r.Reasons = append([]string{fmt.Sprintf("%s; allowed are %s", text, ms(limit))}, r.Reasons...)
		default:
			r.Verdict = Worst(r.Verdict, Unknown)
			r.Reasons = append(r.Reasons, text)
		}
	}
	if !ended {
		r.Verdict = Worst(r.Verdict, Unknown)
		r.Reasons = append(r.Reasons, cutOff)
	}
	r.Summary = fmt.Sprintf("all %s that should run answered at the end, and every server knew a leader", plural(len(due), "node"))
	if !run.Settings.can(history.ObservesLeaders) {
		r.Summary = fmt.Sprintf("all %s that should run answered at the end", plural(len(due), "node"))
	}
	if len(r.Reasons) > 0 {
		r.Summary = r.Reasons[0]
		r.Reasons = capped(append(r.Reasons, excuses...))
	}
	return r
}

// servedBy reports whether a client got an answer through the node that takes a leader, asked for
// after a time: then the node's own answers, or the observer, are not reliable.
func servedBy(run *Run, node string, since int64) string {
	for i := range run.Ops {
		if op := &run.Ops[i]; op.Node == node && op.Invoke > since && op.Type == history.OK && changes(op.F) {
			return fmt.Sprintf("but a %s of a client succeeded there at %s", op.F, clock(op.Return))
		}
	}
	return ""
}

// minTries is how many observations must have failed.
const minTries = 5

// nodeAnswers are the answers of one node to the observer.
type nodeAnswers struct {
	good  []int64 // times of the good answers
	tries []int64 // times of all observations
	why   string  // what was wrong with the last answer that was not good
}

// answersOf collects a node's answers: good ones, and what was wrong with the last.
func answersOf(run *Run, n topologies.Node) (a nodeAnswers, err error) {
	a.why = "it was never asked"
	said, err := observations(run)
	if err != nil {
		return a, err
	}
	for _, o := range said {
		if o.node != n.Name {
			continue
		}
		a.tries = append(a.tries, o.at)
		switch {
		case o.Error != "":
			a.why = "it did not answer (" + o.Error + ")"
		case run.Settings.can(history.ObservesLeaders) && n.Role == topologies.Server && o.Leader == "":
			a.why = "it knew no leader"
		default:
			a.good = append(a.good, o.at)
		}
	}
	return a, nil
}

// lastGood is the last good answer, and how often the node was asked since then or since.
func (a nodeAnswers) lastGood(since int64) (at int64, tried int) {
	if n := len(a.good); n > 0 {
		at = a.good[n-1]
	}
	for _, t := range a.tries {
		if t >= since && t > at {
			tried++
		}
	}
	return at, tried
}

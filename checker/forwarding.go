package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"faultline/topologies"
	"faultline/workloads/history"
)

// checkForwarding judges what is special about operations that one datacenter is asked for another's data. Whatever
// holds within a datacenter over all operations that mean it, local or forwarded, is judged by the checkers of the workload.
// Each of its rules is a proof, however messages were lost, doubled or late:
//
//	effect     a value that was only ever asked for in one datacenter is found in another
//	definite   a value whose every request had ended with a definite error is found
//	path       "no path" from a server that in the same life had reached that datacenter before, or of its own
//	           datacenter; "no path", "down" or "failed" from a server of the very datacenter
//	age        see checkAges
//
// What it leaves alone: "down" and "failed" say what a server takes others for, and it may be mistaken. How long it may be
// so after a heal is availability's business.
func checkForwarding(_ context.Context, run *Run) Result {
	far, good, failed := 0, 0, map[history.Code]int{}
	for i := range run.Ops {
		op := &run.Ops[i]
		if !forwarded(run.Topology, op) {
			continue
		}
		far++
		if served(op) {
			good++
		} else {
			failed[op.Error]++
		}
	}
	r := Result{Verdict: Valid, Metrics: []Metric{{"operations for another datacenter", float64(far), ""}, {"of these served", float64(good), ""}}}
	for _, code := range []history.Code{history.NoPath, history.DCDown, history.DCFailed} {
		r.Metrics = append(r.Metrics, Metric{"of these failed: " + string(code), float64(failed[code]), ""})
	}
	found := slices.Concat(misplaced(run), wrongPaths(run))
	ages, err := checkAges(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error(), Metrics: r.Metrics}
	}
	found = append(found, ages.found...)
	r.Metrics = append(r.Metrics, ages.metrics()...)
	for _, c := range found {
		r.Reasons = append(r.Reasons, c.Why)
	}
	r.Counterexamples = found[:min(len(found), maxCounterexamples)]
	r.Summary = fmt.Sprintf("%d of %s for another datacenter were served; no value was found where it was not meant, no error was a lie, and no answer was surely older than it said (%s judged)",
		good, plural(far, "operation"), plural(ages.judged, "stale read"))
	if len(found) > 0 {
		r.Verdict, r.Summary, r.Reasons = Invalid, r.Reasons[0], capped(r.Reasons)
	}
	return r
}

// forwarded reports whether an operation means another datacenter than that of the node that was asked.
func forwarded(t topologies.Topology, op *history.Operation) bool {
	n, known := t.Node(op.Node)
	return known && op.DC != "" && op.DC != n.DC
}

// forwards is what a run lacks in which nothing was asked for another datacenter.
func forwards(run *Run) string {
	if one := joinsDCs(run); one != "" {
		return one
	}
	if !slices.ContainsFunc(run.Ops, func(op history.Operation) bool { return forwarded(run.Topology, &op) }) {
		return "no node was asked for the data of another datacenter"
	}
	return ""
}

// evidence is a counterexample of operations, by invoke, that need not be about one key.
func evidence(dc, why string, ops ...*history.Operation) Counterexample {
	c := Counterexample{Key: inDC(dc, ops[len(ops)-1].Key), Why: why, Of: len(ops)}
	for _, op := range ops {
		c.Ops = append(c.Ops, *op)
	}
	slices.SortStableFunc(c.Ops, func(a, b history.Operation) int { return cmp.Compare(a.Invoke, b.Invoke) })
	return c
}

// wrongPaths finds errors that say of a datacenter what cannot have been so.
func wrongPaths(run *Run) (found []Counterexample) {
	lives, err := livesOf(run)
	if err != nil {
		return nil // which record and crashes tell
	}
	p := paths{run: run, lives: lives, dcs: run.Topology.DatacenterOf(), reached: map[pathLife]*history.Operation{}}
	byReturn := make([]*history.Operation, 0, len(run.Ops))
	for i := range run.Ops {
		if op := &run.Ops[i]; op.Return != history.Pending {
			p.learn(op)
			byReturn = append(byReturn, op)
		}
	}
	for _, op := range byReturn {
		if c, wrong := p.judge(op); wrong {
			found = append(found, c)
		}
	}
	return found
}

// paths is when servers first showed that they knew others of a datacenter.
type paths struct {
	run     *Run
	lives   lives
	dcs     map[string]string // of nodes
	reached map[pathLife]*history.Operation
}

// pathLife is a datacenter as one life of a server's process knows it.
type pathLife struct{ node, life, dc string }

// teller is the server that said what an answer says of the datacenter, and its life then; empty if nobody knows.
func (p paths) teller(op *history.Operation) (at pathLife) {
	node := op.Node
	for _, h := range op.Hops {
		if p.dcs[h.Node] == p.dcs[op.Node] {
			node = h.Node // the last before the other datacenter
		}
	}
	if n, known := p.run.Topology.Node(node); !known || n.Role == topologies.Client {
		return pathLife{}
	}
	first, sure := p.lives.at(node, op.Invoke)
	last, still := p.lives.at(node, op.Return)
	if !sure || !still || first != last {
		return pathLife{}
	}
	return pathLife{node, first, meantBy(p.run.Topology, op)}
}

// learn takes in that a server has reached a datacenter, or said that it knows servers of it.
func (p paths) learn(op *history.Operation) {
	if op.Type != history.OK && op.Error != history.DCDown && op.Error != history.DCFailed || !forwarded(p.run.Topology, op) {
		return
	}
	at := p.teller(op)
	if was := p.reached[at]; at.node != "" && (was == nil || op.Return < was.Return) {
		p.reached[at] = op
	}
}

func (p paths) judge(op *history.Operation) (c Counterexample, wrong bool) {
	if op.Error != history.NoPath && op.Error != history.DCDown && op.Error != history.DCFailed {
		return c, false
	}
	dc := meantBy(p.run.Topology, op)
	said := fmt.Sprintf("a %s for %s, asked of %s at %s, failed with %s", op.F, dc, op.Node, clock(op.Invoke), op.Error)
	if p.dcs[op.Node] == dc {
		return evidence(dc, said+", and that node is in "+dc+" itself", op), true
	}
	for _, h := range op.Hops {
		if p.dcs[h.Node] == dc {
			return evidence(dc, fmt.Sprintf("%s, and had come to %s, which is in %s (%s)", said, h.Node, dc, way(op.Hops)), op), true
		}
	}
	at := p.teller(op)
	before := p.reached[at]
	if op.Error != history.NoPath || at.node == "" || before == nil || before.Return >= op.Invoke || p.departed(dc, op.Return) {
		return c, false
	}
	return evidence(dc, fmt.Sprintf("%s: no server of %s has ever been heard of; but %s, which has not been started again since, had been there by %s",
		said, dc, at.node, clock(before.Return)), before, op), true
}

// departed reports whether a fault may have taken servers of a datacenter away for good by a time: who has left is not known any more.
func (p paths) departed(dc string, by int64) bool {
	return slices.ContainsFunc(p.run.Faults, func(f history.Fault) bool {
		return (f.Rejoins || f.Wipes) && f.Start < by && slices.ContainsFunc(f.Targets, func(node string) bool { return p.dcs[node] == dc })
	})
}

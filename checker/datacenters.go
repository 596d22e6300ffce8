package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// In is the run as far as it is about one datacenter: the operations that meant its data, wherever they were asked
// for; what the observer saw of its nodes; its part of the topology. What nemesis, harness and runtime did is
// shared by all, and stays whole. Every datacenter has a Raft, keys and sessions of its own, so one can be judged as if
// it were a cluster by itself.
func (run *Run) In(dc string) *Run {
	part := *run
	part.Topology.Datacenters = slices.DeleteFunc(slices.Clone(run.Topology.Datacenters), func(d topologies.Datacenter) bool { return d.Name != dc })
	of := run.Topology.DatacenterOf()
	part.Ops, part.Events = nil, nil
	for i := range run.Ops {
		if op := &run.Ops[i]; cmp.Or(op.DC, of[op.Node]) == dc {
			part.Ops = append(part.Ops, *op)
		}
	}
	for i := range run.Events {
		e := &run.Events[i]
		if about := cmp.Or(e.DC, of[e.Node]); about == dc || about == "" || e.Process == history.Nemesis || e.Process == history.Harness || e.Process == history.Runtime {
			part.Events = append(part.Events, *e)
		}
	}
	return &part
}

// parts are the run in each of its datacenters; of one datacenter, or none, it is the run itself.
func (run *Run) parts() (names []string, parts []*Run) {
	if len(run.Topology.Datacenters) < 2 {
		return []string{""}, []*Run{run}
	}
	for _, dc := range run.Topology.Datacenters {
		names, parts = append(names, dc.Name), append(parts, run.In(dc.Name))
	}
	return names, parts
}

// PerDatacenter is a checker that judges each datacenter of a run by itself, and puts what it finds together: the
// worst verdict, and each sentence, figure and key with the name of its datacenter before it. A run of one datacenter
// it judges as c does.
func PerDatacenter(c Checker) Checker {
	needs, check := c.Needs, c.Check
	lacks := func(run *Run) string {
		if needs == nil {
			return ""
		}
		return needs(run)
	}
	if needs != nil {
		c.Needs = func(run *Run) (first string) {
			_, parts := run.parts()
			for i, part := range parts {
				why := lacks(part)
				if why == "" {
					return ""
				}
				if i == 0 {
					first = why
				}
			}
			return first
		}
	}
	c.Check = func(ctx context.Context, run *Run) Result {
		names, parts := run.parts()
		if len(parts) == 1 {
			return check(ctx, parts[0])
		}
		var results []Result
		for i, part := range parts {
			if why := lacks(part); why != "" {
				results = append(results, Result{Verdict: NotApplicable, Summary: why})
				continue
			}
			limited, cancel := evenShare(ctx, len(parts)-i)
			results = append(results, check(limited, part))
			cancel()
		}
		return together(names, results)
	}
	return c
}

// evenShare is the time that the first of n pieces of work may take.
func evenShare(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, timed := ctx.Deadline()
	if !timed {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// together is one result of those of several datacenters. The summary is that of the worst of them, the first if
// there are several; of good ones it is all of theirs.
func together(names []string, results []Result) (whole Result) {
	order := make([]int, len(names)) // the worst first
	var said []string
	for i, r := range results {
		order[i], said = i, append(said, inDC(names[i], r.Summary))
	}
	slices.SortStableFunc(order, func(a, b int) int { return badness[results[b].Verdict] - badness[results[a].Verdict] })
	for i, r := range results {
		for _, m := range r.Metrics {
			m.Name = inDC(names[i], m.Name)
			whole.Metrics = append(whole.Metrics, m)
		}
		whole.Budget = whole.Budget.plus(r.Budget)
	}
	for _, i := range order {
		r := results[i]
		for _, reason := range r.Reasons {
			whole.Reasons = append(whole.Reasons, inDC(names[i], reason))
		}
		for _, c := range r.Counterexamples {
			c.Key = inDC(names[i], c.Key)
			whole.Counterexamples = append(whole.Counterexamples, c)
		}
	}
	whole.Verdict = results[order[0]].Verdict
	if whole.Summary = said[order[0]]; whole.Verdict == Valid {
		whole.Summary = strings.Join(said, "; ")
	}
	return whole
}

// inDC puts the name of a datacenter, if there is one, before what is said of it.
func inDC(dc, what string) string {
	if dc == "" || what == "" {
		return dc + what
	}
	return dc + ": " + what
}

// plus is what two searches were given and used, one after the other.
func (b *Budget) plus(o *Budget) *Budget {
	if b == nil || o == nil {
		return cmp.Or(b, o)
	}
	return &Budget{WallSeconds: b.WallSeconds + o.WallSeconds, MemoryMB: max(b.MemoryMB, o.MemoryMB), Cores: max(b.Cores, o.Cores),
		UsedWallSeconds: b.UsedWallSeconds + o.UsedWallSeconds, PeakMemoryMB: max(b.PeakMemoryMB, o.PeakMemoryMB), Exhausted: b.Exhausted || o.Exhausted}
}

// OnKeys is a checker that judges the operations on keys which begin with one of these prefixes, as if nothing else had been asked for
// in a run of this workload. Of the workload lock, what is about a session and no key belongs to them.
func OnKeys(c Checker, workload string, prefixes ...string) Checker {
	needs, check := c.Needs, c.Check
	on := func(run *Run) *Run {
		part := *run
		part.Settings.Workload = workload
		part.Ops = slices.DeleteFunc(slices.Clone(run.Ops), func(op history.Operation) bool {
			if op.Key == "" {
				return workload != "lock"
			}
			return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(op.Key, prefix) })
		})
		return &part
	}
	if needs != nil {
		c.Needs = func(run *Run) string { return needs(on(run)) }
	}
	c.Check = func(ctx context.Context, run *Run) Result { return check(ctx, on(run)) }
	return c
}

// dcsOf is "dc1, dc2".
func dcsOf(run *Run) string { return strings.Join(run.Topology.DatacenterNames(), ", ") }

// joinsDCs is what a run of one datacenter lacks.
func joinsDCs(run *Run) string {
	if len(run.Topology.Datacenters) > 1 {
		return ""
	}
	return fmt.Sprintf("there is one datacenter (%s)", dcsOf(run))
}

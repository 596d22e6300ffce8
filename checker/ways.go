package checker

import (
	"cmp"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Way is how the clients of one datacenter were served the data of another, or of their own.
type Way struct {
	Asking, Meant string // datacenters: of the nodes that were asked, and whose data was meant
	WayCounts
	P50, P99 time.Duration // of operations that were served
	Stages   []StageTime   // in the order in which requests come through them
	Failures []Failure     // the most frequent first
	// During is what was asked for while each fault was in force, in the order of Run.Faults.
	During []WayCounts
	// Recoveries are those of Recoveries for this way: when a change that was asked for after the heal succeeded.
	Recoveries []Recovery
}

// WayCounts are operations, in the final reads too.
type WayCounts struct{ Asked, Served int }

// Rate is the share that was served, from 0 to 1; of nothing it is 1.
func (c WayCounts) Rate() float64 {
	if c.Asked == 0 {
		return 1
	}
	return float64(c.Served) / float64(c.Asked)
}

// Stage is what a node is on an operation's way between datacenters.
type Stage string

const (
	StageNone         Stage = "to the first node" // the client's connection; of failures nobody told how far they came
	StageClient       Stage = "client agent"
	StageServer       Stage = "server" // of the asking datacenter, which passes on or follows
	StageLeader       Stage = "leader" // of the same
	StageRemoteServer Stage = "remote server"
	StageRemoteLeader Stage = "remote leader"
)

var stages = []Stage{StageNone, StageClient, StageServer, StageLeader, StageRemoteServer, StageRemoteLeader}

// CompareStages orders stages as requests come through them.
func CompareStages(a, b Stage) int { return slices.Index(stages, a) - slices.Index(stages, b) }

// StageTime is the time that served operations spent at a stage, and from there to the next one and back; of StageNone it is from
// the client to the first node and back.
type StageTime struct {
	Stage    Stage
	Ops      int
	P50, P99 time.Duration
}

// Failure counts operations that were not served, by the last stage that they are known to have come to.
type Failure struct {
	Code  history.Code
	Type  history.Type // Fail: they certainly had no effect; Info
	Stage Stage
	Ops   int
}

// Ways lists the ways that clients asked for, by datacenter, in the order of the topology; none of a run of one datacenter.
func Ways(run *Run) (all []Way) {
	if len(run.Topology.Datacenters) < 2 {
		return nil
	}
	of := run.Topology.DatacenterOf()
	byWay := map[[2]string][]*history.Operation{}
	for i := range run.Ops {
		op := &run.Ops[i]
		if asking := of[op.Node]; asking != "" {
			way := [2]string{asking, cmp.Or(op.DC, asking)}
			byWay[way] = append(byWay[way], op)
		}
	}
	for _, from := range run.Topology.Datacenters {
		for _, to := range run.Topology.Datacenters {
			if ops := byWay[[2]string{from.Name, to.Name}]; len(ops) > 0 {
				all = append(all, wayOf(run, from.Name, to.Name, ops))
			}
		}
	}
	return all
}

func wayOf(run *Run, asking, meant string, ops []*history.Operation) Way {
	w := Way{Asking: asking, Meant: meant, During: make([]WayCounts, len(run.Faults))}
	var took []int64
	spent := map[Stage][]int64{}
	failures := map[Failure]int{}
	plain := make([]history.Operation, 0, len(ops))
	for _, op := range ops {
		plain = append(plain, *op)
		ok := served(op)
		w.count(ok)
		for i, f := range run.Faults {
			if !f.Momentary && op.Invoke >= f.Start && op.Invoke < f.Heal {
				w.During[i].count(ok)
			}
		}
		if !ok {
			failures[Failure{Code: op.Error, Type: op.Type, Stage: lastStage(run.Topology, op)}]++
			continue
		}
		took = append(took, op.Return-op.Invoke)
		for i, at := range op.Hops {
			if i == 0 {
				spent[StageNone] = append(spent[StageNone], max(0, op.Return-op.Invoke-nanoseconds(at.MS)))
			}
			behind := 0.0
			if i+1 < len(op.Hops) {
				behind = op.Hops[i+1].MS
			}
			stage := stageOf(run.Topology, op, at)
			spent[stage] = append(spent[stage], nanoseconds(max(0, at.MS-behind)))
		}
	}
	slices.Sort(took)
	w.P50, w.P99 = quantile(took, 0.5), quantile(took, 0.99)
	for _, stage := range stages {
		if times := spent[stage]; len(times) > 0 {
			slices.Sort(times)
			w.Stages = append(w.Stages, StageTime{stage, len(times), quantile(times, 0.5), quantile(times, 0.99)})
		}
	}
	for f, n := range failures {
		f.Ops = n
		w.Failures = append(w.Failures, f)
	}
	slices.SortFunc(w.Failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Ops, a.Ops), cmp.Compare(a.Code, b.Code), CompareStages(a.Stage, b.Stage), cmp.Compare(a.Type, b.Type))
	})
	part := *run
	part.Ops = plain
	w.Recoveries = Recoveries(&part)
	return w
}

func (c *WayCounts) count(ok bool) {
	c.Asked++
	if ok {
		c.Served++
	}
}

func nanoseconds(ms float64) int64 { return int64(ms * 1e6) }

// stageOf is what a node is on the way of an operation.
func stageOf(t topologies.Topology, op *history.Operation, at history.Hop) Stage {
	asked, _ := t.Node(op.Node)
	n, _ := t.Node(at.Node)
	switch far := n.DC != asked.DC; {
	case at.Role == history.RoleClient:
		return StageClient
	case far && at.Role == history.RoleLeader:
		return StageRemoteLeader
	case far:
		return StageRemoteServer
	case at.Role == history.RoleLeader && meantBy(t, op) == n.DC:
		return StageLeader
	}
	return StageServer
}

func lastStage(t topologies.Topology, op *history.Operation) Stage {
	if n := len(op.Hops); n > 0 {
		return stageOf(t, op, op.Hops[n-1])
	}
	return StageNone
}

// wayMetrics are the figures of ways.
func wayMetrics(run *Run) (all []Metric) {
	for _, w := range Ways(run) {
		name := w.Asking + " → " + w.Meant + ": "
		slowest, lost := time.Duration(0), 0
		for _, r := range w.Recoveries {
			slowest = max(slowest, r.After)
			if !r.Recovered {
				lost++
			}
		}
		all = append(all, Metric{name + "success rate", 100 * w.Rate(), "%"},
			Metric{name + "latency p50", milliseconds(w.P50), "ms"}, Metric{name + "latency p99", milliseconds(w.P99), "ms"},
			Metric{name + "slowest recovery after a heal", slowest.Seconds(), "s"},
			Metric{name + "heals without a write after them", float64(lost), ""})
	}
	if len(all) > 0 {
		all = append(all, localMetrics(run)...)
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

// localMetrics are how operations within one datacenter fared while nothing but links between datacenters was broken, beside
// how they fared while nothing was: a system whose local path is slower then lets requests for other datacenters take what
// local ones need. They share a machine with all else, so it is a figure.
func localMetrics(run *Run) (all []Metric) {
	spans := map[bool][]band{}
	usual := run.Topology.Baseline()
	err := eachCertain(run, func(from, to int64, w *windows) {
		if broken, only := w.onlyBetween(usual); only {
			spans[broken] = append(spans[broken], band{from, to})
		}
	})
	if err != nil {
		return nil
	}
	for _, broken := range []bool{false, true} {
		var c WayCounts
		var took []int64
		for i := range run.Ops {
			op := &run.Ops[i]
			if forwarded(run.Topology, op) || !slices.ContainsFunc(spans[broken], func(b band) bool { return op.Invoke >= b.from && op.Invoke < b.to }) {
				continue
			}
			ok := served(op)
			if c.count(ok); ok {
				took = append(took, op.Return-op.Invoke)
			}
		}
		if c.Asked == 0 {
			continue
		}
		slices.Sort(took)
		name := "local, while nothing is broken: "
		if broken {
			name = "local, while only links between datacenters are: "
		}
		all = append(all, Metric{name + "success rate", 100 * c.Rate(), "%"}, Metric{name + "latency p99", milliseconds(quantile(took, 0.99)), "ms"})
	}
	return all
}

// onlyBetween reports whether nothing is wrong but, maybe, with links between datacenters.
func (w *windows) onlyBetween(usual faults.Conditions) (broken, only bool) {
	all := w.run.Topology.Started()
	for _, a := range all {
		if !w.well(a.Name) {
			return false, false
		}
		for _, b := range all {
			l := faults.Pair{From: a.Name, To: b.Name}
			if w.asked.Links[l] == usual.Links[l] {
				continue
			}
			if a.DC == b.DC {
				return false, false
			}
			broken = true
		}
	}
	return broken, true
}

package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

// faultRow is a line of the table of faults.
type faultRow struct {
	Step             int
	Name, Targets    string
	From, Till, Took string
	Asked, Measured  string
	Verified         bool
	HealText         string // what was measured after the heal
	HealVerified     bool
	Recovery, Error  string
}

func faultRows(run *checker.Run) []faultRow {
	recoveries := checker.Recoveries(run)
	var rows []faultRow
	for _, f := range run.Faults {
		row := faultRow{Step: f.Step, Name: f.Name, Targets: strings.Join(f.Targets, ", "),
			From: seconds(f.Start), Till: seconds(f.Heal), Asked: f.Asked, Measured: f.Measured, Verified: f.Verified,
			HealText: f.HealMeasured, HealVerified: f.HealVerified, Error: f.Error, Recovery: recovery(f, recoveries)}
		switch {
		case f.Momentary:
			row.Took, row.HealText = "at once", "needs none"
		case f.Heal == history.Pending:
			row.Took = "never healed"
		default:
			row.Took = span(time.Duration(f.Heal - f.Start))
		}
		rows = append(rows, row)
	}
	return rows
}

// recovery says how long after a fault's heal writes succeeded again.
func recovery(f history.Fault, all []checker.Recovery) string {
	i := slices.IndexFunc(all, func(r checker.Recovery) bool { return r.Step == f.Step })
	switch {
	case i < 0:
		return "–"
	case !all[i].Recovered:
		return "none seen"
	}
	return span(all[i].After)
}

// kindRow is a line of the table of operations: one f in one read mode.
type kindRow struct {
	F, Mode string
	tally
	quantiles
}

func kindRows(ops []history.Operation) []kindRow {
	type kind struct{ f, mode string }
	counts, durations := map[kind]tally{}, map[kind][]int64{}
	for _, op := range ops {
		k := kind{string(op.F), string(op.Mode)}
		t := counts[k]
		t.add(op.Type)
		counts[k] = t
		if op.Type == history.OK {
			durations[k] = append(durations[k], op.Return-op.Invoke)
		}
	}
	var rows []kindRow
	for k, t := range counts {
		rows = append(rows, kindRow{k.f, k.mode, t, quantilesOf(durations[k])})
	}
	slices.SortFunc(rows, func(a, b kindRow) int {
		return cmp.Or(cmp.Compare(a.F, b.F), cmp.Compare(a.Mode, b.Mode))
	})
	return rows
}

// errorRow is a line of the table of errors: one code, over the phases of the run.
type errorRow struct {
	Code    history.Code
	Effect  string // whether such an operation may have taken effect
	ByPhase []int
	Within  int // sent while a fault was in force
	All     int
}

func errorRows(run *checker.Run, phases []phase) []errorRow {
	byCode := map[history.Code]*errorRow{}
	for _, op := range run.Ops {
		if op.Type == history.OK {
			continue
		}
		row := byCode[op.Error]
		if row == nil {
			row = &errorRow{Code: cmp.Or(op.Error, "(none)"), Effect: effect(op), ByPhase: make([]int, len(phases))}
			byCode[op.Error] = row
		}
		row.All++
		if len(during(run.Faults, op.Invoke, op.Invoke)) > 0 {
			row.Within++
		}
		for i, p := range phases {
			if op.Invoke >= p.From && op.Invoke < p.Till {
				row.ByPhase[i]++
			}
		}
	}
	var rows []errorRow
	for _, row := range byCode {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b errorRow) int {
		return cmp.Or(cmp.Compare(b.All, a.All), cmp.Compare(a.Code, b.Code))
	})
	return rows
}

func effect(op history.Operation) string {
	switch {
	case history.Code(op.Error) == history.CASMismatch:
		return "none: an ordinary answer, the value was another"
	case op.Type == history.Fail:
		return "none, for certain"
	}
	return "may have taken effect"
}

// hopRow is a line of the table of paths: the roles of the nodes that an answer passed.
type hopRow struct {
	Path string
	quantiles
}

func hopRows(ops []history.Operation) []hopRow {
	durations := map[string][]int64{}
	for _, op := range ops {
		if len(op.Hops) == 0 || op.Type != history.OK {
			continue
		}
		roles := make([]string, len(op.Hops))
		for i, h := range op.Hops {
			roles[i] = string(h.Role)
		}
		way := strings.Join(roles, " → ")
		durations[way] = append(durations[way], int64(op.Hops[0].MS*1e6))
	}
	var rows []hopRow
	for way, ds := range durations {
		rows = append(rows, hopRow{way, quantilesOf(ds)})
	}
	slices.SortFunc(rows, func(a, b hopRow) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Path, b.Path))
	})
	return rows
}

// pair is a name and what belongs to it.
type pair struct{ Name, Value string }

func versionPairs(versions map[string]string) []pair {
	var all []pair
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		all = append(all, pair{name, versions[name]})
	}
	return all
}

// shape describes a topology in a few words: dc1-3c2: dc1 with 3 servers and 2 client agents.
func shape(run *checker.Run) string {
	var parts []string
	for _, dc := range run.Topology.Datacenters {
		of := map[topologies.Role]int{}
		for _, n := range run.Topology.Nodes() {
			if n.DC == dc.Name {
				of[n.Role]++
			}
		}
		part := dc.Name + " with " + count(of[topologies.Server], "server")
		if n := of[topologies.Client]; n > 0 {
			part += " and " + count(n, "client agent")
		}
		if n := of[topologies.Spare]; n > 0 {
			part += " and " + count(n, "spare")
		}
		parts = append(parts, part)
	}
	if len(run.Topology.Links) > 0 {
		parts = append(parts, "links that are slow or lossy by themselves")
	}
	if len(parts) == 0 {
		return run.Topology.Name
	}
	return run.Topology.Name + ": " + strings.Join(parts, "; ")
}

package faultline

import (
	"context"
	"fmt"
	"os"
	"time"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads"
)

// plan is a scenario with everything looked up and checked, before anything starts.
type plan struct {
	scenario  Scenario // defaults filled in
	topology  topologies.Topology
	schedule  nemesis.Schedule
	runtime   nodes.Runtime
	system    nodes.System
	generator workloads.Generator
	notes     []string // warnings for the report
}

func makePlan(ctx context.Context, s Scenario, o Options) (*plan, error) {
	s = s.Defaults()
	if err := s.Validate(); err != nil {
		return nil, usage(err)
	}
	p := &plan{scenario: s, system: o.System}
	var err error
	if p.topology, err = s.topology(); err != nil {
		return nil, usage(err)
	}
	warnings, err := p.topology.Validate()
	if err != nil {
		return nil, usage(err)
	}
	p.notes = append(p.notes, warnings...)
	if err := checkDefects(s.Defects); err != nil {
		return nil, err
	}
	if p.schedule, err = MakeSchedule(s); err != nil {
		return nil, err
	}
	if p.generator, err = s.generator(); err != nil {
		return nil, err
	}
	if p.system == nil {
		make, err := choose("system", s.System, Systems())
		if err != nil {
			return nil, err
		}
		p.system = make(s)
	}
	var why string
	if p.runtime, why, err = chooseRuntime(ctx, s.Runtime); err != nil {
		return nil, err
	}
	if s.Runtime == "auto" {
		p.notes = append(p.notes, fmt.Sprintf("runtime %s: %s", p.runtime.Name(), why))
	}
	if err := p.schedule.Check(p.topology, p.runtime.Capabilities()); err != nil {
		return nil, usage(err)
	}
	return p, nil
}

// MakeSchedule is the schedule that a run of the scenario plays: its steps, its file, or
// what its seed makes of its families.
func MakeSchedule(s Scenario) (nemesis.Schedule, error) {
	s = s.Defaults()
	t, err := s.topology()
	if err != nil {
		return nemesis.Schedule{}, usage(err)
	}
	var schedule nemesis.Schedule
	switch {
	case len(s.Steps) > 0:
		schedule = nemesis.Schedule{Seed: s.Seed, Steps: s.Steps}
	case s.Schedule != "":
		data, err := os.ReadFile(s.Schedule)
		if err != nil {
			return nemesis.Schedule{}, usagef("schedule: %w", err)
		}
		if schedule, err = nemesis.Parse(s.Schedule, data); err != nil {
			return nemesis.Schedule{}, usage(err)
		}
	case len(s.Nemesis) > 0:
		schedule, err = nemesis.Generate(nemesis.Options{Seed: s.Seed, Families: s.Nemesis,
			Interval: s.NemesisInterval, Duration: s.TimeLimit - warmUp, Topology: t})
		if err != nil {
			return nemesis.Schedule{}, usage(err)
		}
	}
	if end := schedule.End() + warmUp; end > s.TimeLimit {
		return nemesis.Schedule{}, usagef("the schedule of scenario %s ends %v after the first operation, beyond its time-limit of %v",
			s.Name, end.Round(time.Millisecond), s.TimeLimit)
	}
	return schedule, nil
}

func (s Scenario) generator() (workloads.Generator, error) {
	var table []Named[workloads.Workload]
	for _, w := range workloads.All() {
		table = append(table, Named[workloads.Workload]{w.Name, w.Doc, w})
	}
	w, err := choose("workload", s.Workload, table)
	if err != nil {
		return nil, err
	}
	g, err := w.New(workloads.Options{Mode: s.Mode, Keys: s.Keys, OpsPerKey: s.OpsPerKey, Seed: s.Seed})
	return g, usage(err)
}

func (p *plan) settings() checker.Settings {
	s := p.scenario
	return checker.Settings{Workload: s.Workload, Mode: string(s.Mode), RecoverWithin: s.RecoverWithin,
		MinOps: s.MinOps, CheckTime: s.CheckTime, CheckMemoryMB: s.CheckMemoryMB, PlannedFaults: len(p.schedule.Steps)}
}

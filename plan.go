package faultline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/nodes/programs"
	"faultline/topologies"
	"faultline/topologies/strict"
	"faultline/workloads"
	"faultline/workloads/history"
)

// plan is a scenario with everything looked up and checked, before anything starts.
type plan struct {
	scenario Scenario // defaults filled in
	topology topologies.Topology
	schedule nemesis.Schedule
	runtime  nodes.Runtime
	system   nodes.System
	registry Registry
	// ownTopology: the program has brought it, and no file or name leads to it.
	ownTopology bool
	workload    workloads.Workload
	generator   workloads.Generator
	abilities   []history.Ability // of the system
	ownCopy     history.Mode      // of the system's Facts
	exits       bool              // nodes that join exit if they reach no member
	notes       []string          // warnings for the report
	format      int               // of the run directory
}

// makePlan looks up all that a scenario names, then asks the machine for a runtime.
func (r Registry) makePlan(ctx context.Context, s Scenario, o Options) (*plan, error) {
	p, err := r.lookUp(s, o)
	if err != nil {
		return nil, err
	}
	if err := checkStore(o.store()); err != nil {
		return nil, err
	}
	return p, p.place(ctx)
}

// Check finds what is wrong with any of the scenarios, before the first is run: all
// mistakes in what they say, a line each, or else the first thing that the machine lacks.
// Run checks its scenario itself.
func Check(ctx context.Context, scenarios []Scenario, o Options) error {
	return Default().Check(ctx, scenarios, o)
}

// Check is the package's Check, by this registry.
func (r Registry) Check(ctx context.Context, scenarios []Scenario, o Options) error {
	var plans []*plan
	var wrong []error
	seen := map[string]bool{}
	for _, s := range scenarios {
		p, err := r.lookUp(s, o)
		if err != nil && !seen[err.Error()] { // a scenario is repeated under --test-count
			seen[err.Error()] = true
			wrong = append(wrong, err)
		}
		plans = append(plans, p)
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	if err := checkStore(o.store()); err != nil {
		return err
	}
	for _, p := range plans {
		if err := p.place(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lookUp is the part of a plan that depends on the scenario alone.
func (r Registry) lookUp(s Scenario, o Options) (*plan, error) {
	s = s.Defaults()
	if err := s.Validate(); err != nil {
		return nil, s.mistake(err)
	}
	p := &plan{scenario: s, system: o.System, runtime: o.Runtime, registry: r, ownTopology: len(o.Topology.Datacenters) > 0}
	var err error
	if p.topology, err = o.topology(s); err != nil {
		return nil, s.mistake(err)
	}
	if p.notes, err = p.topology.Validate(); err != nil {
		return nil, s.mistake(err)
	}
	if err := p.topology.CheckLinks(); err != nil {
		return nil, s.mistake(err)
	}
	if p.system != nil {
		if err := checkGiven(s); err != nil {
			return nil, s.mistake(err)
		}
		p.scenario.System = given + p.system.Name()
	} else if p.system, err = r.system(s); err != nil {
		return nil, s.mistake(err)
	}
	if p.schedule, err = makeSchedule(s, p.topology, p.system.Facts()); err != nil {
		return nil, err
	}
	if p.schedule, err = p.schedule.OnPorts(p.system.Name(), trafficOf(p.system.Facts())); err != nil {
		return nil, s.mistake(err)
	}
	if err := p.schedule.Check(p.topology, r.capabilities()); err != nil {
		return nil, s.mistake(err)
	}
	if p.workload, err = r.workload(s.Workload); err != nil {
		return nil, s.mistake(err)
	}
	if err := p.checkRuntime(); err != nil {
		return nil, s.mistake(err)
	}
	if p.generator, err = p.workload.Generator(p.options()); err != nil {
		return nil, s.mistake(err)
	}
	return p, s.mistake(p.fit())
}

// appendShare is the part of the appends to lists that a system is asked for which can append by itself; the others
// are compare-and-sets.
const appendShare = 0.3

// options shape the workload. What the system cannot do is not asked of it.
func (p *plan) options() workloads.Options {
	s, facts := p.scenario, p.system.Facts()
	o := workloads.Options{Mode: s.Mode, Keys: s.Keys, OpsPerKey: s.OpsPerKey, Seed: s.Seed, ColdShare: s.ColdShare, DeleteShare: s.DeleteShare,
		LateShare: s.LateShare, OddNames: s.OddNames, ByValue: !facts.Can(history.ReportsIndexes), PlainSessions: !facts.Can(history.DelaysLocks), Concurrency: s.Concurrency, Timeout: s.Timeout}
	if len(p.topology.Datacenters) > 1 {
		o.Datacenters = p.topology.DatacenterNames()
	}
	if slices.Contains(facts.Ops, history.OpAppend) {
		o.AppendShare = appendShare
	}
	for _, m := range facts.Modes {
		o.Modes = append(o.Modes, m.Name)
	}
	for _, op := range []history.Op{history.OpDelete, history.OpDeleteCAS} {
		if o.DeleteShare > 0 && !slices.Contains(facts.Ops, op) {
			o.DeleteShare = 0
			p.notes = append(p.notes, fmt.Sprintf("nothing is deleted: the system %s has no operation %s", p.system.Name(), op))
		}
	}
	return o
}

// fit refuses a system that cannot serve the scenario.
func (p *plan) fit() error {
	name, facts := p.system.Name(), p.system.Facts()
	p.exits, p.ownCopy = facts.ExitsUnjoined, facts.OwnCopy
	p.abilities = append([]history.Ability{}, facts.Abilities...) // never nil, which would mean all
	for _, op := range p.workload.Ops {
		if !slices.Contains(facts.Ops, op) {
			return fmt.Errorf("workload %s asks for the operation %s, which the system %s does not have; it has %s", p.workload.Name, op, name, words(facts.Ops))
		}
	}
	var modes []history.Mode
	for _, m := range facts.Modes {
		modes = append(modes, m.Name)
	}
	if mode := p.scenario.Mode; mode != history.ModeDefault && !slices.Contains(modes, mode) {
		return fmt.Errorf("mode %q is none of the system %s, which has %s", mode, name, words(append([]history.Mode{history.ModeDefault}, modes...)))
	}
	for _, n := range p.topology.Nodes() {
		if n.Role == topologies.Client && !facts.Can(history.RunsClients) {
			return fmt.Errorf("topology %s has client agents (%s), and the system %s has none: take a topology of servers", p.topology.Name, n.Name, name)
		}
	}
	for i, l := range p.scenario.ServiceLevels {
		if err := l.Fits(p.topology); err != nil {
			return fmt.Errorf("service level %d: %w", i, err)
		}
	}
	if n := len(p.topology.Datacenters); n > 1 && !facts.Can(history.JoinsDCs) {
		return fmt.Errorf("topology %s has %d datacenters, and the system %s has no more than one: take a topology of one", p.topology.Name, n, name)
	}
	if err := p.schedule.CheckAbilities(name, facts.Can); err != nil {
		return err
	}
	if f, ok := p.system.(interface {
		Fits(topologies.Topology) error
	}); ok {
		return f.Fits(p.topology)
	}
	return nil
}

// words lists words for people, each once.
func words[T ~string](all []T) string {
	var list []string
	for _, w := range all {
		if !slices.Contains(list, string(w)) {
			list = append(list, string(w))
		}
	}
	return strings.Join(list, ", ")
}

// topology is the one that the program brings, or the one that the scenario names.
func (o Options) topology(s Scenario) (topologies.Topology, error) {
	switch {
	case len(o.Topology.Datacenters) == 0:
		return s.topology()
	case s.Topology != Scenario{}.Defaults().Topology:
		return o.Topology, fmt.Errorf("topology is not for a run whose topology the program brings (Options.Topology): leave it out")
	}
	return o.Topology, nil
}

// given is before the name of a system or runtime that a Go program brought (Options). No
// command knows it, so what is stored of such a run cannot be taken for one of another.
const given = "program/"

// checkGiven refuses what only the systems of Systems are told: a program has made its own
// as it wants it.
func checkGiven(s Scenario) error {
	fields := append(s.agents(), toldField{"system", s.System != Scenario{}.Defaults().System}, toldField{"settings", len(s.Settings) > 0})
	for _, field := range fields {
		if field.given {
			return fmt.Errorf("%s is not for a system that the program brings (Options.System): make the system with it", field.name)
		}
	}
	return nil
}

// toldField is a field of a scenario that is for its system, and whether the scenario has it.
type toldField struct {
	name  string
	given bool
}

// agents lists the fields that are for the reference agent.
func (s Scenario) agents() []toldField {
	d := Scenario{}.Defaults()
	return []toldField{
		{"defects", len(s.Defects) > 0},
		{"raft-multiplier", s.RaftMultiplier != d.RaftMultiplier},
		{"snapshot-threshold", s.SnapshotThreshold != d.SnapshotThreshold},
		{"hops", s.Hops},
	}
}

// checkRuntime finds the mistake in what the scenario says of the runtime.
func (p *plan) checkRuntime() error {
	asked := p.scenario.Runtime
	switch {
	case p.runtime == nil && asked == auto:
		return nil
	case p.runtime == nil:
		_, err := choose("runtime", asked, p.registry.Runtimes)
		return err
	case asked != auto:
		return fmt.Errorf("runtime is not for a run whose runtime the program brings (Options.Runtime): leave it out")
	}
	p.scenario.Runtime = given + p.runtime.Name()
	return nil
}

// place finds a runtime on this machine that can play the schedule.
func (p *plan) place(ctx context.Context) error {
	var why string
	var err error
	if p.runtime != nil {
		if err := p.runtime.Check(ctx, p.schedule.Needs(p.topology)...); err != nil {
			return interruptedOr(ctx, usagef("runtime %s: %w", p.runtime.Name(), err))
		}
		return p.scenario.mistake(p.schedule.Check(p.topology, p.runtime.Capabilities()))
	}
	if p.runtime, why, err = p.registry.chooseRuntime(ctx, p.scenario.Runtime, p.schedule.Needs(p.topology)); err != nil {
		return interruptedOr(ctx, err)
	}
	if p.scenario.Runtime == auto {
		p.notes = append(p.notes, fmt.Sprintf("runtime %s: %s", p.runtime.Name(), why))
	}
	if err := p.scenario.mistake(p.schedule.Check(p.topology, p.runtime.Capabilities())); err != nil {
		return err
	}
	return p.ready(ctx)
}

// ready refuses a run whose programs would fail: a system may say so before, and pods need the injector.
func (p *plan) ready(ctx context.Context) error {
	if s, ok := p.system.(interface{ Ready(context.Context) error }); ok {
		if err := s.Ready(ctx); err != nil {
			return usage(err)
		}
	}
	return usage(programs.Injector.Ready(ctx))
}

// interruptedOr is err, unless that is because ctx has ended.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w before anything was started", ErrInterrupted)
	}
	return err
}

// MakeSchedule is the schedule that a run of the scenario plays: its steps, its file, or
// what its seed makes of its families for its system.
func MakeSchedule(s Scenario) (nemesis.Schedule, error) {
	s = s.Defaults()
	facts := nodes.Facts{Abilities: history.Abilities()}
	if len(s.Nemesis) > 0 && !strings.HasPrefix(s.System, given) {
		system, err := Default().system(s)
		if err != nil {
			return nemesis.Schedule{}, s.mistake(err)
		}
		facts = system.Facts()
	}
	t, err := s.topology()
	if err != nil {
		return nemesis.Schedule{}, s.mistake(err)
	}
	return makeSchedule(s, t, facts)
}

// makeSchedule is MakeSchedule for a topology, and for a system of which it knows what that can be asked for.
func makeSchedule(s Scenario, t topologies.Topology, facts nodes.Facts) (schedule nemesis.Schedule, err error) {
	switch {
	case len(s.Steps) > 0:
		schedule = nemesis.Schedule{Seed: s.Seed, Steps: s.Steps}
	case s.Schedule != "":
		data, err := strict.ReadFile(s.Schedule)
		if err != nil {
			return nemesis.Schedule{}, s.mistake(fmt.Errorf("schedule: %w", err))
		}
		if schedule, err = nemesis.Parse(s.Schedule, data); err != nil {
			return nemesis.Schedule{}, s.mistake(err)
		}
	case len(s.Nemesis) > 0:
		weights, err := s.weights()
		if err != nil {
			return nemesis.Schedule{}, s.mistake(err)
		}
		var snapshots []string
		if s.SnapshotThreshold > 0 { // else a run may well be over before there is one
			snapshots = facts.Snapshots
		}
		schedule, err = nemesis.Generate(nemesis.Options{Weights: weights, Seed: s.Seed, Families: s.Nemesis,
			Interval: s.NemesisInterval, Duration: s.TimeLimit - warmUp, Topology: t, Can: facts.Can,
			MemberChange: facts.MemberChange, Swarm: s.NemesisStyle == StyleSwarm, Logs: facts.Logs, Snapshots: snapshots, Ports: trafficOf(facts)})
		if err != nil {
			return nemesis.Schedule{}, s.mistake(err)
		}
	}
	if end := min(schedule.End(), math.MaxInt64-warmUp) + warmUp; end > s.TimeLimit {
		return nemesis.Schedule{}, s.mistake(fmt.Errorf("the schedule of scenario %s ends %v after the first operation, beyond its time-limit of %v; give it a longer one",
			s.Name, end.Round(time.Millisecond), s.TimeLimit))
	}
	return schedule, nil
}

func trafficOf(facts nodes.Facts) nemesis.TrafficPorts {
	return nemesis.TrafficPorts{Gossip: facts.Gossip, RPC: facts.RPC}
}

func (p *plan) settings() checker.Settings {
	s := p.scenario
	return checker.Settings{Workload: s.Workload, Abilities: p.abilities, ExitsUnjoined: p.exits, Mode: s.Mode, OwnCopy: p.ownCopy, RecoverWithin: s.RecoverWithin,
		MinOps: s.MinOps, CheckTime: s.CheckTime, CheckMemoryMB: s.CheckMemoryMB, PlannedFaults: len(p.schedule.Steps), ServiceLevels: s.ServiceLevels, Format: p.format}
}

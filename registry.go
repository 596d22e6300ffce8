package faultline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/checker"
	"faultline/nodes"
	"faultline/nodes/agent"
	"faultline/nodes/agent/system"
	"faultline/nodes/consul"
	"faultline/nodes/declared"
	"faultline/nodes/docker"
	"faultline/nodes/etcd"
	"faultline/nodes/faults"
	"faultline/nodes/local"
	"faultline/topologies/strict"
	"faultline/workloads"
)

// Registry is all that scenarios can name. Default is what this repository has; a program adds its
// own to that, and runs scenarios by the methods:
//
//	r := faultline.Default()
//	r.Workloads = append(r.Workloads, queue)
//	outcome, err := r.Run(ctx, scenario, faultline.Options{})
//
// What is added is judged, reported and repeated like all else, by programs that add it. Faults are
// package nemesis's.
type Registry struct {
	// Runtimes are where clusters can run, in the order in which auto tries them. They are
	// functions because making one may look at the machine.
	Runtimes []Named[func() nodes.Runtime]
	// Systems are what can be tested. Each refuses the settings of a scenario that it does not know.
	Systems   []Named[func(Scenario) (nodes.System, error)]
	Workloads []workloads.Workload
	Checkers  []checker.Checker // of every run; those of one workload are its own
}

// Default is the registry of this repository. The caller may change it.
func Default() Registry {
	return Registry{
		Runtimes: []Named[func() nodes.Runtime]{
			{"docker", "a container a node, in a pod of its own", func() nodes.Runtime { return docker.New() }},
			{"local", "a process a node, in Linux namespaces; without an engine, a daemon or root", func() nodes.Runtime { return local.New() }},
		},
		Systems: []Named[func(Scenario) (nodes.System, error)]{
			{"agent", "the reference agent, a small Consul", newAgent},
			{"consul", "a Consul that you have, by its binary", newConsul},
			{"etcd", "an etcd that you have, 3.4 or later, by its binary", newEtcd},
		},
		Workloads: workloads.All(),
		Checkers:  checker.All(),
	}
}

func newAgent(s Scenario) (nodes.System, error) {
	o := system.Options{Defects: s.Defects, RaftMultiplier: s.RaftMultiplier, Hops: s.Hops, SnapshotThreshold: s.SnapshotThreshold}
	if err := s.settle(&o); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return system.New(o), checkDefects(s.Defects)
}

func newConsul(s Scenario) (nodes.System, error) {
	o := consul.RealOptions{RaftMultiplier: s.RaftMultiplier, SnapshotThreshold: s.SnapshotThreshold}
	if err := s.settle(&o); err != nil {
		return nil, err
	}
	return consul.Real(o), s.onlyAgents("raft-multiplier", "snapshot-threshold")
}

func newEtcd(s Scenario) (nodes.System, error) {
	if err := s.onlyAgents(); err != nil {
		return nil, err
	}
	var options etcd.Options
	if err := s.settle(&options); err != nil {
		return nil, err
	}
	system, err := etcd.New(options)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return system, nil
}

// settle decodes the settings of a scenario for its system into a struct, strictly; nil knows none.
func (s Scenario) settle(into any) error {
	if len(s.Settings) == 0 {
		return nil
	}
	if into == nil {
		into = &struct{}{}
	}
	text, err := strict.Encode(s.Settings)
	if err != nil {
		return err
	}
	return strict.Decode("settings", []byte(text), into)
}

// isFile reports whether the name of a system is the path of a file that describes one.
func isFile(system string) bool {
	return strings.ContainsAny(system, "/.") && !strings.HasPrefix(system, given)
}

// system finds what the scenario names: a system of the registry, or the one that a file describes.
func (r Registry) system(s Scenario) (nodes.System, error) {
	if !isFile(s.System) {
		make, err := choose("system", s.System, r.Systems)
		if err != nil {
			return nil, err
		}
		return make(s)
	}
	if err := s.onlyAgents(); err != nil {
		return nil, err
	}
	system, err := declared.Load(s.System, s.Settings)
	if err != nil {
		return nil, err
	}
	for _, line := range r.Systems {
		if line.Name == system.Name() {
			return nil, fmt.Errorf("%s: name: %q is the name of another system; take a name of its own", s.System, line.Name)
		}
	}
	return system, nil
}

// onlyAgents refuses what only the reference agent is told by a scenario, but for some fields.
func (s Scenario) onlyAgents(but ...string) error {
	for _, field := range s.agents() {
		if field.given && !slices.Contains(but, field.name) {
			return fmt.Errorf("%s is for the reference agent, and the system is %s", field.name, s.System)
		}
	}
	return nil
}

// AllCapabilities is what all runtimes of the Default registry together can do.
func AllCapabilities() []faults.Capability { return Default().capabilities() }

func (r Registry) capabilities() []faults.Capability {
	var all []faults.Capability
	for _, line := range r.Runtimes {
		all = append(all, line.Make().Capabilities()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// workload finds a workload by name.
func (r Registry) workload(name string) (workloads.Workload, error) {
	var table []Named[workloads.Workload]
	for _, w := range r.Workloads {
		table = append(table, Named[workloads.Workload]{w.Name, w.Doc, w})
	}
	return choose("workload", name, table)
}

// checkers lists those that judge a workload: its own, then those of every run. A workload that
// the registry lacks has none of its own.
func (r Registry) checkers(workload string) ([]checker.Checker, error) {
	w, err := r.workload(workload)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(w.Checkers), r.Checkers...), nil
}

// Named is a line of a table that users choose from by name.
type Named[T any] struct {
	Name string
	Doc  string
	Make T
}

func choose[T any](kind, name string, table []Named[T]) (T, error) {
	var names []string
	for _, line := range table {
		if line.Name == name {
			return line.Make, nil
		}
		names = append(names, line.Name)
	}
	var none T
	if own, ok := strings.CutPrefix(name, given); ok {
		return none, usagef("the %s %q was brought by a Go program (Options): repeat the run there", kind, own)
	}
	return none, usagef("no %s %q; there is %s", kind, name, strings.Join(names, ", "))
}

// auto is the runtime that this machine offers, the first of the table if it offers several.
const auto = "auto"

// chooseRuntime finds a runtime by name and checks that this machine offers it, and what
// it needs for such conditions; for
// auto it is the first that the machine offers, and why says so.
func (r Registry) chooseRuntime(ctx context.Context, name string, needs []faults.Capability) (rt nodes.Runtime, why string, err error) {
	if name != auto {
		make, err := choose("runtime", name, r.Runtimes)
		if err != nil {
			return nil, "", err
		}
		rt := make()
		if err := rt.Check(ctx, needs...); err != nil {
			return nil, "", usagef("runtime %s: %w", name, err)
		}
		return rt, "as asked", nil
	}
	var refused []string
	for _, line := range r.Runtimes {
		rt := line.Make()
		err := rt.Check(ctx, needs...)
		if err == nil {
			return rt, strings.Join(append(refused, "the first that this machine offers"), "; "), nil
		}
		refused = append(refused, fmt.Sprintf("%s: %v", line.Name, err))
	}
	return nil, "", usagef("this machine offers no runtime. %s", strings.Join(refused, "; "))
}

func checkDefects(names []string) error {
	for _, name := range names {
		var known []string
		found := false
		for _, d := range agent.Defects {
			known = append(known, d.Name)
			found = found || d.Name == name
		}
		if !found {
			return usagef("no defect %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

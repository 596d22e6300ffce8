package faultline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/nodes"
	"faultline/nodes/agent"
	"faultline/nodes/consul"
	"faultline/nodes/docker"
	"faultline/nodes/faults"
	"faultline/nodes/local"
)

// Runtimes lists where clusters can run, in the order in which auto tries them. They are
// functions because making one may look at the machine.
func Runtimes() []Named[func() nodes.Runtime] {
	return []Named[func() nodes.Runtime]{
		{"docker", "a container a node, in a pod of its own", func() nodes.Runtime { return docker.New() }},
		{"local", "a process a node, in Linux namespaces; without an engine, a daemon or root", func() nodes.Runtime { return local.New() }},
	}
}

// AllCapabilities is what all runtimes together can do.
func AllCapabilities() []faults.Capability {
	var all []faults.Capability
	for _, r := range Runtimes() {
		all = append(all, r.Make().Capabilities()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Systems lists what can be tested.
func Systems() []Named[func(Scenario) nodes.System] {
	return []Named[func(Scenario) nodes.System]{
		{"agent", "the reference agent, a small Consul", func(s Scenario) nodes.System {
			return consul.Agent(consul.Options{Defects: s.Defects, RaftMultiplier: s.RaftMultiplier, Hops: s.Hops,
				SnapshotThreshold: s.SnapshotThreshold})
		}},
	}
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
func chooseRuntime(ctx context.Context, name string, needs []faults.Capability) (rt nodes.Runtime, why string, err error) {
	if name != auto {
		make, err := choose("runtime", name, Runtimes())
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
	for _, line := range Runtimes() {
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

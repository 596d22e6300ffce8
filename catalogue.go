package faultline

import (
	"slices"
	"strings"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes/agent"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads"
)

// Section is one kind of thing that users choose from by name.
type Section struct {
	Kind  string
	Lines [][]string // name first
}

// Catalogue lists everything that can be named in a scenario, from the tables in code.
func Catalogue() []Section {
	section := func(kind string) Section { return Section{Kind: kind} }
	faults, families, checkers := section("faults"), section("families"), section("checkers")
	for _, f := range nemesis.Faults() {
		faults.Lines = append(faults.Lines, []string{f.Kind().Name, f.Kind().Doc})
	}
	for _, f := range nemesis.Families() {
		families.Lines = append(families.Lines, []string{f.Name, f.Doc})
	}
	for _, c := range checker.All() {
		checkers.Lines = append(checkers.Lines, []string{c.Name, c.Doc})
	}
	defects, loads, layouts := section("defects"), section("workloads"), section("topologies")
	for _, d := range agent.Defects {
		defects.Lines = append(defects.Lines, []string{d.Name, d.Doc}, []string{"", "seen in: " + d.Report})
	}
	for _, w := range workloads.All() {
		loads.Lines = append(loads.Lines, []string{w.Name, w.Doc})
	}
	for _, name := range topologies.Names() {
		layouts.Lines = append(layouts.Lines, []string{name})
	}
	runtimes, systems := section("runtimes"), section("systems")
	for _, r := range Runtimes() {
		runtimes.Lines = append(runtimes.Lines, []string{r.Name, r.Doc, "can: " + joinCapabilities(r.Make().Capabilities())})
	}
	for _, s := range Systems() {
		systems.Lines = append(systems.Lines, []string{s.Name, s.Doc})
	}
	return []Section{runtimes, systems, layouts, loads, families, faults, checkers, defects}
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

func joinCapabilities(all []faults.Capability) string {
	var names []string
	for _, c := range all {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

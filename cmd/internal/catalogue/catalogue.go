// Package catalogue lists everything that users choose from by name, from the tables in code.
package catalogue

import (
	"slices"

	"faultline"
	"faultline/checker"
	"faultline/cmd/faultline/output"
	"faultline/nemesis"
	"faultline/nodes/agent"
	"faultline/topologies"
	"faultline/workloads"
)

// Section is one kind of thing that can be named in a scenario.
type Section struct {
	Kind    string // in the plural
	Entries []output.Entry
}

// All lists every section, in the order in which they are shown.
func All() []Section {
	return []Section{
		{"runtimes", Runtimes()},
		{"systems", Systems()},
		{"topologies", Topologies()},
		{"workloads", Workloads()},
		{"families", Families()},
		{"faults", Faults()},
		{"checkers", Checkers()},
		{"defects", Defects()},
	}
}

// Runtimes lists where clusters can run.
func Runtimes() (all []output.Entry) {
	for _, r := range faultline.Default().Runtimes {
		all = append(all, output.Entry{Name: r.Name, Doc: r.Doc, Capabilities: Words(r.Make().Capabilities())})
	}
	return all
}

// Systems lists what can be tested.
func Systems() (all []output.Entry) {
	for _, s := range faultline.Default().Systems {
		entry := output.Entry{Name: s.Name, Doc: s.Doc}
		if system, err := s.Make(faultline.Scenario{}.Defaults()); err == nil { // else it takes settings to know
			facts := system.Facts()
			for _, m := range facts.Modes {
				entry.Modes = append(entry.Modes, output.Mode{Name: string(m.Name), Doc: m.Doc})
			}
			for _, a := range facts.Abilities {
				entry.Abilities = append(entry.Abilities, string(a))
			}
			for _, op := range facts.Ops {
				entry.Operations = append(entry.Operations, string(op))
			}
		}
		all = append(all, entry)
	}
	return all
}

// Topologies lists the embedded layouts.
func Topologies() (all []output.Entry) {
	for _, name := range topologies.Names() {
		all = append(all, output.Entry{Name: name})
	}
	return all
}

// Workloads lists what clients can do.
func Workloads() (all []output.Entry) {
	for _, w := range workloads.All() {
		all = append(all, output.Entry{Name: w.Name, Doc: w.Doc})
	}
	return all
}

// Families lists what a scenario's nemesis can name.
func Families() (all []output.Entry) {
	for _, f := range nemesis.Families() {
		all = append(all, output.Entry{Name: f.Name, Doc: f.Doc})
	}
	return all
}

// Faults lists what a step of a schedule can name.
func Faults() (all []output.Entry) {
	for _, f := range nemesis.Faults() {
		k := f.Kind()
		all = append(all, output.Entry{Name: k.Name, Doc: k.Doc, Family: k.Family, Targets: k.Targets,
			Needs: Words(k.Needs), Options: nemesis.OptionNames(f)})
	}
	return all
}

// Checkers lists what judges a run.
func Checkers() (all []output.Entry) {
	for _, w := range workloads.All() {
		for _, c := range w.Checkers {
			entry := output.Entry{Name: c.Name, Doc: c.Doc}
			if !slices.ContainsFunc(all, func(e output.Entry) bool { return e.Name == c.Name }) { // of several workloads
				all = append(all, entry)
			}
		}
	}
	for _, c := range checker.All() {
		all = append(all, output.Entry{Name: c.Name, Doc: c.Doc})
	}
	return all
}

// Defects lists the bugs that can be planted in the reference agent.
func Defects() (all []output.Entry) {
	for _, d := range agent.Defects {
		all = append(all, output.Entry{Name: d.Name, Doc: d.Doc, SeenIn: d.Report})
	}
	return all
}

// Words returns names of things as words.
func Words[T ~string](all []T) (words []string) {
	for _, c := range all {
		words = append(words, string(c))
	}
	return words
}

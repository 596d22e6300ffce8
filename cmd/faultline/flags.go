package main

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"faultline"
	"faultline/topologies/strict"
)

// scenarioFlags are the fields of a scenario as flags. Only those that were given
// change a scenario.
type scenarioFlags struct {
	given    faultline.Scenario
	settings []string // NAME=VALUE
}

// field ties one flag to one field; set copies the field from the flags to a scenario.
type field struct {
	name string
	set  func(to, from *faultline.Scenario)
}

func (f *scenarioFlags) add(flags *pflag.FlagSet) {
	g, d := &f.given, faultline.Scenario{}.Defaults()
	flags.StringVar(&g.Name, "name", d.Name, "name of the scenario; its runs go to STORE/NAME")
	flags.StringVar(&g.Runtime, "runtime", d.Runtime, "where nodes run (faultline list runtimes), or auto")
	flags.StringVar(&g.System, "system", d.System, "what is tested: a name (faultline list systems) or a file")
	flags.StringArrayVar(&f.settings, "set", nil, "a setting of the system, `NAME=VALUE`; may be repeated")
	flags.StringVar(&g.Topology, "topology", d.Topology, "shape of the cluster: a name (faultline list topologies) or a file")
	flags.IntVar(&g.SnapshotThreshold, "snapshot-threshold", d.SnapshotThreshold, "`entries` between two snapshots of a server, as Consul's setting; 0 is the system's default")
	flags.IntVar(&g.RaftMultiplier, "raft-multiplier", d.RaftMultiplier, "scales Raft's timeouts, as Consul's setting")
	flags.StringSliceVar(&g.Defects, "defect", nil, "plant a bug in the reference agent (faultline list defects)")
	flags.StringVar(&g.Workload, "workload", d.Workload, "what clients do (faultline list workloads)")
	flags.StringVar((*string)(&g.Mode), "mode", string(d.Mode), "read mode: one of the system's (faultline list systems)")
	flags.Float64Var(&g.Rate, "rate", d.Rate, "operations a second over all clients")
	flags.IntVar(&g.Concurrency, "concurrency", d.Concurrency, "client processes")
	flags.DurationVar(&g.Timeout, "timeout", d.Timeout, "of one operation")
	flags.DurationVar(&g.LeastTimeout, "least-timeout", 0, "the timeout of each operation is drawn between it and --timeout; 0: all have the whole")
	flags.IntVar(&g.Keys, "keys", 0, "keys that are active at a time")
	flags.IntVar(&g.OpsPerKey, "ops-per-key", 0, "operations on a key before a fresh one takes its place")
	flags.Float64Var(&g.ColdShare, "cold-share", 0, "part of a register's operations on keys that are written once or a few times")
	flags.Float64Var(&g.DeleteShare, "delete-share", 0, "part of a register's operations that delete, if the system can")
	flags.Float64Var(&g.LateShare, "late-share", 0, "part of a register's operations that go by what a client was told long ago")
	flags.BoolVar(&g.OddNames, "odd-names", false, "give some of a register's keys names with slashes, spaces, percent signs and the like")
	flags.BoolVar(&g.Hops, "hops", false, "ask every answer for the nodes that it came through")
	flags.StringSliceVar(&g.Nemesis, "nemesis", nil, "families of faults (faultline list faults)")
	flags.StringVar((*string)(&g.NemesisStyle), "nemesis-style", string(d.NemesisStyle), "how families make a schedule: deck or swarm")
	flags.DurationVar(&g.NemesisInterval, "nemesis-interval", d.NemesisInterval, "mean time between the starts of faults, of a deck")
	flags.StringVar(&g.NemesisWeights, "nemesis-weights", "", "how much more often families are drawn, `FAMILY=NUMBER,…`, or a file of faultline hunt")
	flags.Uint64Var(&g.Seed, "seed", 0, "makes the schedule and the choice of operations; 0 draws one, which the report shows")
	flags.StringVar(&g.Schedule, "schedule", "", "play this schedule file instead")
	flags.DurationVar(&g.TimeLimit, "time-limit", d.TimeLimit, "from the first operation to the last heal")
	flags.DurationVar(&g.Quiet, "quiet", d.Quiet, "after the faults, before the final reads")
	flags.DurationVar(&g.RecoverWithin, "recover-within", d.RecoverWithin, "after the last heal, operations must succeed by then")
	flags.IntVar(&g.MinOps, "min-ops", d.MinOps, "fewer successful operations are not enough for a verdict")
	flags.DurationVar(&g.CheckTime, "check-time", d.CheckTime, "budget of one checker")
	flags.IntVar(&g.CheckMemoryMB, "check-memory-mb", d.CheckMemoryMB, "budget of the checkers, in MiB")
}

var fields = []field{
	{"name", func(to, from *faultline.Scenario) { to.Name = from.Name }},
	{"runtime", func(to, from *faultline.Scenario) { to.Runtime = from.Runtime }},
	{"system", func(to, from *faultline.Scenario) { to.System = from.System }},
	{"set", func(to, from *faultline.Scenario) { to.Settings = merged(to.Settings, from.Settings) }},
	{"topology", func(to, from *faultline.Scenario) { to.Topology = from.Topology }},
	{"snapshot-threshold", func(to, from *faultline.Scenario) { to.SnapshotThreshold = from.SnapshotThreshold }},
	{"raft-multiplier", func(to, from *faultline.Scenario) { to.RaftMultiplier = from.RaftMultiplier }},
	{"defect", func(to, from *faultline.Scenario) { to.Defects = from.Defects }},
	{"workload", func(to, from *faultline.Scenario) { to.Workload = from.Workload }},
	{"mode", func(to, from *faultline.Scenario) { to.Mode = from.Mode }},
	{"rate", func(to, from *faultline.Scenario) { to.Rate = from.Rate }},
	{"concurrency", func(to, from *faultline.Scenario) { to.Concurrency = from.Concurrency }},
	{"timeout", func(to, from *faultline.Scenario) { to.Timeout = from.Timeout }},
	{"least-timeout", func(to, from *faultline.Scenario) { to.LeastTimeout = from.LeastTimeout }},
	{"keys", func(to, from *faultline.Scenario) { to.Keys = from.Keys }},
	{"ops-per-key", func(to, from *faultline.Scenario) { to.OpsPerKey = from.OpsPerKey }},
	{"cold-share", func(to, from *faultline.Scenario) { to.ColdShare = from.ColdShare }},
	{"delete-share", func(to, from *faultline.Scenario) { to.DeleteShare = from.DeleteShare }},
	{"late-share", func(to, from *faultline.Scenario) { to.LateShare = from.LateShare }},
	{"odd-names", func(to, from *faultline.Scenario) { to.OddNames = from.OddNames }},
	{"hops", func(to, from *faultline.Scenario) { to.Hops = from.Hops }},
	{"nemesis", func(to, from *faultline.Scenario) { to.Nemesis, to.Schedule, to.Steps = from.Nemesis, "", nil }},
	{"nemesis-style", func(to, from *faultline.Scenario) { to.NemesisStyle = from.NemesisStyle }},
	{"nemesis-interval", func(to, from *faultline.Scenario) { to.NemesisInterval = from.NemesisInterval }},
	{"nemesis-weights", func(to, from *faultline.Scenario) { to.NemesisWeights = from.NemesisWeights }},
	{"seed", func(to, from *faultline.Scenario) { to.Seed = from.Seed }},
	{"schedule", func(to, from *faultline.Scenario) { to.Nemesis, to.Schedule, to.Steps = nil, from.Schedule, nil }},
	{"time-limit", func(to, from *faultline.Scenario) { to.TimeLimit = from.TimeLimit }},
	{"quiet", func(to, from *faultline.Scenario) { to.Quiet = from.Quiet }},
	{"recover-within", func(to, from *faultline.Scenario) { to.RecoverWithin = from.RecoverWithin }},
	{"min-ops", func(to, from *faultline.Scenario) { to.MinOps = from.MinOps }},
	{"check-time", func(to, from *faultline.Scenario) { to.CheckTime = from.CheckTime }},
	{"check-memory-mb", func(to, from *faultline.Scenario) { to.CheckMemoryMB = from.CheckMemoryMB }},
}

// fromFlags is the scenario that flags alone make.
var fromFlags = func() faultline.Scenario {
	s := faultline.Scenario{Name: "flags"}
	return s.Defaults()
}()

// one is the scenario of a file, if args name one, with the given flags, or what these say alone.
func (f *scenarioFlags) one(flags *pflag.FlagSet, args []string) (faultline.Scenario, error) {
	s := fromFlags
	if len(args) == 1 {
		var err error
		if s, err = faultline.LoadScenario(args[0]); err != nil {
			return s, err
		}
	}
	all, err := f.apply(flags, []faultline.Scenario{s}, 1)
	if err != nil {
		return s, err
	}
	return all[0], nil
}

// apply puts the given flags into every scenario, and repeats the suite count times.
func (f *scenarioFlags) apply(flags *pflag.FlagSet, suite []faultline.Scenario, count int) ([]faultline.Scenario, error) {
	if flags.Changed("nemesis") && flags.Changed("schedule") {
		return nil, &faultline.UsageError{Err: fmt.Errorf("--nemesis and --schedule exclude each other")}
	}
	if count < 1 {
		return nil, &faultline.UsageError{Err: fmt.Errorf("--test-count %d: want at least 1", count)}
	}
	if flags.Changed("name") && len(suite) > 1 {
		return nil, &faultline.UsageError{Err: fmt.Errorf("--name gives %d scenarios one name; leave it out", len(suite))}
	}
	var err error
	if f.given.Settings, err = parseSettings(f.settings); err != nil {
		return nil, err
	}
	var all []faultline.Scenario
	for round := range count {
		for _, s := range suite {
			for _, field := range fields {
				if flags.Changed(field.name) {
					field.set(&s, &f.given)
				}
			}
			if err := s.Validate(); err != nil { // the files are valid: it is the flags
				return nil, &faultline.UsageError{Err: err}
			}
			if s.Seed != 0 { // else each round draws its own
				s.Seed += uint64(round)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// merged is settings with others on top.
func merged(settings, others map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, settings)
	maps.Copy(all, others)
	return all
}

// parseSettings reads NAME=VALUE; values are as in a scenario's file.
func parseSettings(given []string) (map[string]any, error) {
	settings := map[string]any{}
	for _, text := range given {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return nil, &faultline.UsageError{Err: fmt.Errorf("--set %q: want NAME=VALUE", text)}
		}
		var parsed any
		if err := strict.Decode("--set "+name, []byte(value), &parsed); err != nil {
			return nil, &faultline.UsageError{Err: err}
		}
		settings[name] = parsed
	}
	return settings, nil
}

// outputFlags say where results go and how they look.
type outputFlags struct {
	store   string
	noColor bool
	verbose bool
	json    bool
	jobs    int
	live    *live
}

func (f *outputFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.store, "store", "store", "where run directories are kept")
	flags.BoolVar(&f.noColor, "no-color", os.Getenv("NO_COLOR") != "", "plain text (also by the environment's NO_COLOR)")
	flags.IntVarP(&f.jobs, "jobs", "j", 1, "how many scenarios run at a time, each on a cluster of its own")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log what the harness itself does, on the standard error")
	addJSON(flags, &f.json)
}

func (f *outputFlags) check() error {
	if f.jobs < 1 {
		return &faultline.UsageError{Err: fmt.Errorf("--jobs %d: want at least 1", f.jobs)}
	}
	return nil
}

func (f *outputFlags) colour() bool { return !f.noColor && term.IsTerminal(int(os.Stdout.Fd())) }

func (f *outputFlags) width() int { return width(os.Stdout) }

// width is the columns of a terminal, 100 for everything else.
func width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 100
}

func (f *outputFlags) progress() faultline.Progress {
	f.live = &live{out: os.Stderr, terminal: term.IsTerminal(int(os.Stderr.Fd())), start: time.Now(),
		width: func() int { return width(os.Stderr) }}
	return f.live
}

// print writes a report; progress must have been called.
func (f *outputFlags) print(report string) { f.live.print(os.Stdout, report) }

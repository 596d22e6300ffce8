package faultline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/nemesis"
	"faultline/topologies"
	"faultline/topologies/strict"
	"faultline/workloads/history"
)

// Scenario is one experiment. Every field has a flag of `faultline test` with the same
// name. Zero values stand for the defaults that Defaults fills in.
type Scenario struct {
	Name string `yaml:"name"`
	Doc  string `yaml:"doc,omitempty"`

	// The cluster.
	Runtime  string `yaml:"runtime,omitempty"`  // a name of Runtimes, or auto: the first that this machine offers
	System   string `yaml:"system,omitempty"`   // a name of Systems, or the path of a file that describes one
	Topology string `yaml:"topology,omitempty"` // an embedded layout, or the path of a file
	// Settings are for the system, which knows their names.
	Settings       map[string]any `yaml:"settings,omitempty"`
	RaftMultiplier int            `yaml:"raft-multiplier,omitempty"` // scales Raft's timeouts, as Consul's raft_multiplier
	// SnapshotThreshold is how many entries lie between two snapshots of a server's store, as
	// Consul's raft_snapshot_threshold; 0 is the system's default.
	SnapshotThreshold int      `yaml:"snapshot-threshold,omitempty"`
	Defects           []string `yaml:"defects,omitempty"` // planted bugs of the reference agent

	// The clients.
	Workload    string        `yaml:"workload,omitempty"`
	Mode        history.Mode  `yaml:"mode,omitempty"`        // read mode: one of the system's
	Rate        float64       `yaml:"rate,omitempty"`        // operations a second over all clients
	Concurrency int           `yaml:"concurrency,omitempty"` // client processes
	Timeout     time.Duration `yaml:"timeout,omitempty"`     // of one operation
	// LeastTimeout: the timeout of each operation is drawn between it and Timeout, log-uniform; 0: all have Timeout.
	LeastTimeout time.Duration `yaml:"least-timeout,omitempty"`
	Keys         int           `yaml:"keys,omitempty"`        // active at a time
	OpsPerKey    int           `yaml:"ops-per-key,omitempty"` // then a fresh key takes its place
	// What a register's clients do beside: shares of the operations, from 0 to 1. See workloads.Options.
	ColdShare   float64 `yaml:"cold-share,omitempty"`   // on keys that are written once or a few times
	DeleteShare float64 `yaml:"delete-share,omitempty"` // that delete, where the system can
	LateShare   float64 `yaml:"late-share,omitempty"`   // that go by what a client was told long ago
	OddNames    bool    `yaml:"odd-names,omitempty"`    // of some keys
	Hops        bool    `yaml:"hops,omitempty"`         // ask every answer for the nodes it came through

	// The faults: families for a generator, or a schedule file, or steps.
	Nemesis         []string      `yaml:"nemesis,omitempty,flow"`
	NemesisStyle    Style         `yaml:"nemesis-style,omitempty"`    // of the generator
	NemesisInterval time.Duration `yaml:"nemesis-interval,omitempty"` // mean time between the starts of faults, of a deck
	NemesisWeights  string        `yaml:"nemesis-weights,omitempty"`  // as nemesis.ParseWeights reads them, or the path of a file that faultline hunt wrote
	Seed            uint64        `yaml:"seed,omitempty"`             // 0: Run draws one
	Schedule        string        `yaml:"schedule,omitempty"`         // path of a schedule file
	Steps           nemesis.Steps `yaml:"steps,omitempty"`

	// The times.
	TimeLimit time.Duration `yaml:"time-limit,omitempty"` // from the first operation to the last heal
	Quiet     time.Duration `yaml:"quiet,omitempty"`      // after it, for recovery, before the final reads

	// The judgement.
	RecoverWithin time.Duration `yaml:"recover-within,omitempty"`
	MinOps        int           `yaml:"min-ops,omitempty"`
	CheckTime     time.Duration `yaml:"check-time,omitempty"` // budget of one checker
	CheckMemoryMB int           `yaml:"check-memory-mb,omitempty"`
	// ServiceLevels are judged by the checker service-level.
	ServiceLevels []checker.ServiceLevel `yaml:"service-levels,omitempty"`

	file string // where it was read, for error texts
}

// Style is how schedules are drawn from families.
type Style string

const (
	StyleDeck  Style = "deck"  // every family once before one comes up again
	StyleSwarm Style = "swarm" // a random subset of them, overlapping, at times of every order of magnitude
)

// File is the path of the file that the scenario was read from; empty if it was made by a program.
func (s Scenario) File() string { return s.file }

// Defaults fills in what a scenario leaves out.
func (s Scenario) Defaults() Scenario {
	fill(&s.Name, "unnamed")
	fill(&s.Runtime, auto)
	fill(&s.System, "agent")
	fill(&s.Topology, "dc1-3")
	fill(&s.RaftMultiplier, 1)
	fill(&s.Workload, "register")
	fill(&s.Mode, history.ModeDefault)
	fill(&s.Rate, 300)
	fill(&s.Concurrency, 12)
	fill(&s.Timeout, 3*time.Second)
	fill(&s.NemesisStyle, StyleDeck)
	fill(&s.NemesisInterval, 6*time.Second)
	fill(&s.TimeLimit, 30*time.Second)
	fill(&s.Quiet, 6*time.Second)
	fill(&s.RecoverWithin, 30*time.Second)
	fill(&s.MinOps, 200)
	fill(&s.CheckTime, time.Minute)
	fill(&s.CheckMemoryMB, 2048)
	return s
}

func fill[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

var scenarioName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,60}$`)

var modeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Validate refuses what makes no sense by itself; what depends on the topology, the
// schedule or the machine is refused by Run, before anything starts.
func (s Scenario) Validate() error {
	ways := 0
	for _, given := range []bool{len(s.Nemesis) > 0, s.Schedule != "", len(s.Steps) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case !scenarioName.MatchString(s.Name):
		return fmt.Errorf("name %q: want at most 61 lower-case letters, digits and dashes", s.Name)
	case s.Name == rundir.Latest || s.Name == rundir.Suites || s.Name == rundir.Sweeps:
		return fmt.Errorf("name %q: the store keeps a folder of that name for itself; take another", s.Name)
	case ways > 1:
		return fmt.Errorf("nemesis, schedule and steps exclude each other: give one")
	case s.NemesisStyle != StyleDeck && s.NemesisStyle != StyleSwarm:
		return fmt.Errorf("nemesis-style %q: want %s or %s", s.NemesisStyle, StyleDeck, StyleSwarm)
	case !modeName.MatchString(string(s.Mode)):
		return fmt.Errorf("mode %q: want a word, one of the system's read modes", s.Mode)
	case s.Rate <= 0 || s.Rate > 1e6:
		return fmt.Errorf("rate %v: want operations a second, at most 1000000", s.Rate)
	case s.Concurrency < 1 || s.Concurrency > 10000:
		return fmt.Errorf("concurrency %d: want 1 to 10000 client processes", s.Concurrency)
	case s.RaftMultiplier < 1 || s.RaftMultiplier > 10:
		return fmt.Errorf("raft-multiplier %d: want 1 to 10", s.RaftMultiplier)
	}
	if err := errors.Join(atLeast("keys", s.Keys, 0), atLeast("ops-per-key", s.OpsPerKey, 0),
		atLeast("snapshot-threshold", s.SnapshotThreshold, 0),
		atLeast("min-ops", s.MinOps, 1), atLeast("check-memory-mb", s.CheckMemoryMB, 1)); err != nil {
		return err
	}
	for _, d := range []struct {
		name       string
		value, max time.Duration
	}{
		{"timeout", s.Timeout, 10 * time.Minute},
		{"nemesis-interval", s.NemesisInterval, time.Hour},
		{"time-limit", s.TimeLimit, 7 * 24 * time.Hour},
		{"quiet", s.Quiet, time.Hour},
		{"recover-within", s.RecoverWithin, time.Hour},
		{"check-time", s.CheckTime, 24 * time.Hour},
	} {
		if d.value <= 0 || d.value > d.max {
			return fmt.Errorf("%s %v: want more than 0 and at most %v", d.name, d.value, d.max)
		}
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"cold-share", s.ColdShare}, {"delete-share", s.DeleteShare}, {"late-share", s.LateShare}} {
		if !(share.value >= 0 && share.value <= 1) { // not a number is refused as well
			return fmt.Errorf("%s %v: want 0 to 1", share.name, share.value)
		}
	}
	for i, l := range s.ServiceLevels {
		if err := l.Check(); err != nil {
			return fmt.Errorf("service level %d: %w", i, err)
		}
	}
	if s.LeastTimeout < 0 || s.LeastTimeout > s.Timeout {
		return fmt.Errorf("least-timeout %v: want 0 to the timeout of %v", s.LeastTimeout, s.Timeout)
	}
	return nil
}

func atLeast(name string, value, least int) error {
	if value < least {
		return fmt.Errorf("%s %d: want at least %d", name, value, least)
	}
	return nil
}

// mistake is an error about what the scenario says, with the scenario's file in front of
// every line of it, and the number of the line where it is known.
func (s Scenario) mistake(err error) error {
	if err == nil || s.file == "" {
		return usage(err)
	}
	texts := strings.Split(err.Error(), "\n")
	for i, text := range texts {
		if numbered, ok := strings.CutPrefix(text, "line "); ok {
			texts[i] = s.file + ":" + numbered
		} else {
			texts[i] = s.file + ": " + text
		}
	}
	return usagef("%s", strings.Join(texts, "\n"))
}

// String is the YAML form, which ParseScenario reads back to an equal value.
func (s Scenario) String() string {
	text, err := strict.Encode(s)
	if err != nil {
		return fmt.Sprintf("# scenario %q does not encode: %v\n", s.Name, err)
	}
	return text
}

// ParseScenario reads one scenario. file names it in errors, and is where the relative
// paths in it start; a scenario without a name is called after the file.
func ParseScenario(file string, data []byte) (Scenario, error) {
	s := Scenario{}.Defaults() // so that a zero in the file is seen as what it is
	s.Name = ""
	if err := strict.Decode(file, data, &s); err != nil {
		return Scenario{}, usage(err)
	}
	s.file = file
	fill(&s.Name, strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	for _, path := range []*string{&s.Topology, &s.Schedule, &s.System, &s.NemesisWeights} {
		if path == &s.System && !isFile(*path) {
			continue // what a program brought
		}
		if path == &s.NemesisWeights && !isWeightsFile(*path) {
			continue
		}
		if strings.ContainsAny(*path, "/.") && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(file), *path)
		}
	}
	if err := s.Validate(); err != nil {
		return Scenario{}, s.mistake(err)
	}
	return s, nil
}

// LoadScenario reads a scenario file.
func LoadScenario(path string) (Scenario, error) {
	data, err := strict.ReadFile(path)
	if err != nil {
		return Scenario{}, usagef("scenario: %w", err)
	}
	return ParseScenario(path, data)
}

// LoadSuite reads one scenario file, or all of a directory, sorted by file name. It
// reports the mistakes of all files, a line each.
func LoadSuite(path string) ([]Scenario, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usagef("scenario: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
			return nil, usage(err)
		}
		if len(files) == 0 {
			return nil, usagef("%s: no scenario (*.yaml) in this directory", path)
		}
	}
	var suite []Scenario
	var wrong []error
	from := map[string]string{}
	for _, f := range files {
		s, err := LoadScenario(f)
		if err == nil && from[s.Name] != "" {
			err = usagef("%s: scenario name %s is taken by %s", f, s.Name, from[s.Name])
		}
		wrong = append(wrong, err)
		from[s.Name] = f
		suite = append(suite, s)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return suite, nil
}

func isWeightsFile(text string) bool {
	return strings.ContainsAny(text, "/") || strings.HasSuffix(text, ".yaml")
}

// weights are those of the families that a schedule is drawn from.
func (s Scenario) weights() (nemesis.Weights, error) {
	if !isWeightsFile(s.NemesisWeights) {
		return nemesis.ParseWeights(s.NemesisWeights)
	}
	data, err := strict.ReadFile(s.NemesisWeights)
	if err != nil {
		return nil, fmt.Errorf("nemesis-weights: %w", err)
	}
	learned, err := nemesis.ParseLearned(s.NemesisWeights, data)
	return learned.Weights(), err
}

// topology loads what the scenario names.
func (s Scenario) topology() (topologies.Topology, error) { return topologies.Load(s.Topology) }

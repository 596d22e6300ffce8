// Package output is what `faultline COMMAND --json` prints, as Go types.
//
// Every command prints one document, and nothing else, on the standard output:
//
//	faultline list --json        Catalogue
//	faultline doctor --json      Doctor
//	faultline test --json        Suite
//	faultline analyze --json     Run
//	faultline prove --json       Proofs
//	faultline hunt --json        Hunt; with --compare HuntComparison
//	faultline sweep --json       Sweep
//	faultline repeat --json      Repetition
//	faultline shrink --json      Shrinking
//	faultline gossip-model --json  GossipModel
//	faultline version --json     Version
//
// Exit codes are the same as without --json. A command that refuses what was asked, or that
// fails before there is anything to tell, prints no document; why is on the standard error.
//
// A program in Go reads a document with [json.Unmarshal]:
//
//	out, err := exec.Command("faultline", "test", "ci/smoke", "--json").Output()
//	var suite output.Suite
//	err = json.Unmarshal(out, &suite)
//	for _, run := range suite.Runs { fmt.Println(run.Scenario, run.Verdict) }
//
// Names of fields are in snake_case. New versions may add fields; they take none away and
// rename none. Durations are seconds, in fields whose names end in _seconds.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"faultline/checker"
	"faultline/checker/report"
)

// Encode returns a document as indented JSON, with a line break at its end. Characters that a
// terminal obeys, or that turn the reading order around, are escaped.
func Encode(document any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return "", err
	}
	var visible strings.Builder
	for _, r := range text.String() {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) { // only strings hold such
			fmt.Fprintf(&visible, `\u%04x`, r)
		} else {
			visible.WriteRune(r)
		}
	}
	return visible.String(), nil
}

// Catalogue is everything that can be named in a scenario, by kind: runtimes, systems,
// topologies, workloads, families, faults, checkers, defects. A command that was asked for
// one kind prints only that.
type Catalogue map[string][]Entry

// Entry is one thing that can be named. What does not apply to its kind is left out.
type Entry struct {
	Name         string   `json:"name"`
	Doc          string   `json:"doc,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"` // of a runtime: the faults that it can make are made of these
	Modes        []Mode   `json:"modes,omitempty"`        // of a system: how reads can be asked for, the first is meant by default
	Abilities    []string `json:"abilities,omitempty"`    // of a system: what it can be asked for beside operations
	Operations   []string `json:"operations,omitempty"`   // of a system
	Needs        []string `json:"needs,omitempty"`        // of a fault: the capabilities that it takes at most
	Family       string   `json:"family,omitempty"`       // of a fault
	Targets      []string `json:"targets,omitempty"`      // of a fault: words that it takes beside names of nodes
	Options      []string `json:"options,omitempty"`      // of a fault
	SeenIn       string   `json:"seen_in,omitempty"`      // of a defect: the real behaviour or report that it is taken from
}

// Mode is one way to read.
type Mode struct {
	Name string `json:"name"`
	Doc  string `json:"doc"` // what such a read promises
}

// Doctor is what a machine offers, and what is missing.
type Doctor struct {
	Failing  int       `json:"failing"` // things that must be fixed; the exit code is 0 only without any
	Findings []Finding `json:"findings"`
	Trials   []Trial   `json:"trials,omitempty"` // with --deep
}

// Finding is one thing that runs need.
type Finding struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Need string `json:"need"` // every-run; one-of: one of the findings with this need is enough; some-runs
	Text string `json:"text"` // how it is, or what is missing and how to fix it
}

// Trial is a fault that was tried for real.
type Trial struct {
	Runtime     string  `json:"runtime"`
	Fault       string  `json:"fault"` // with its options
	OK          bool    `json:"ok"`
	Asked       string  `json:"asked,omitempty"` // empty if it could not be tried
	Measured    string  `json:"measured,omitempty"`
	Healed      string  `json:"healed,omitempty"` // what was measured after the heal
	TookSeconds float64 `json:"took_seconds"`
	Error       string  `json:"error,omitempty"` // why it is not ok
}

// Suite is what became of one scenario or of several.
type Suite struct {
	Name    string          `json:"name"` // the path of the scenarios, or flags
	Verdict checker.Verdict `json:"verdict"`
	Runs    []Run           `json:"runs"`
	Missing int             `json:"missing"`           // scenarios that have no verdict
	Stopped string          `json:"stopped,omitempty"` // why there is no verdict on them
}

// Run is a judged run.
type Run struct {
	Scenario      string            `json:"scenario"`
	Seed          uint64            `json:"seed"`
	Verdict       checker.Verdict   `json:"verdict"`
	Results       []Result          `json:"results"` // of each checker
	Directory     string            `json:"directory"`
	Command       string            `json:"command"` // repeats the run
	Started       time.Time         `json:"started"`
	LengthSeconds float64           `json:"length_seconds"` // without setting the cluster up
	Runtime       string            `json:"runtime"`
	System        string            `json:"system"`
	Notes         []string          `json:"notes,omitempty"` // what a reader must know before believing the verdict
	Versions      map[string]string `json:"versions"`
}

// Result is what one checker found.
type Result struct {
	Checker         string           `json:"checker"`
	Verdict         checker.Verdict  `json:"verdict"`
	Summary         string           `json:"summary"`                   // one sentence for people
	Reasons         []string         `json:"reasons,omitempty"`         // why it is not valid, most telling first
	Metrics         []Metric         `json:"metrics,omitempty"`         // what was measured
	Counterexamples []Counterexample `json:"counterexamples,omitempty"` // what proves it invalid, worst first
	Budget          *checker.Budget  `json:"budget,omitempty"`          // of a checker that searches
}

// Metric is a named number.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Counterexample is a part of the history that no correct system could have produced.
type Counterexample struct {
	Key        string      `json:"key"`
	Why        string      `json:"why"`               // the contradiction, in words
	Operations []Operation `json:"operations"`        // the smallest part that fails, by when they were invoked
	Of         int         `json:"of"`                // operations on this key in the whole history
	Picture    string      `json:"picture,omitempty"` // file of the run directory
}

// Operation is what one client asked, and the answer. Times are seconds since the history began.
type Operation struct {
	ID              int64           `json:"id"` // index of its invocation in the history
	Process         int64           `json:"process"`
	Node            string          `json:"node"`
	Operation       string          `json:"operation"` // read, write, cas …
	Mode            string          `json:"mode,omitempty"`
	Key             string          `json:"key"`
	Input           json.RawMessage `json:"input,omitempty"`
	Output          json.RawMessage `json:"output,omitempty"`
	InvokedSeconds  float64         `json:"invoked_seconds"`
	ReturnedSeconds *float64        `json:"returned_seconds,omitempty"` // absent: it may still take effect
	Type            string          `json:"type"`                       // ok, fail, info
	Error           string          `json:"error,omitempty"`
	ModifyIndex     uint64          `json:"modify_index,omitempty"`
}

// Proofs is what became of planted defects.
type Proofs struct {
	Verdict     checker.Verdict `json:"verdict"` // valid: all were caught, and nothing was found without them
	Caught      int             `json:"caught"`
	FalseAlarms int             `json:"false_alarms"` // runs without the defect that were invalid
	Proofs      []Proof         `json:"proofs"`
}

// Proof is what became of one scenario with planted defects.
type Proof struct {
	Scenario string   `json:"scenario"`
	Defects  []string `json:"defects"`
	Caught   bool     `json:"caught"`  // the last run with the defect was invalid
	Silent   bool     `json:"silent"`  // the run without it was valid
	With     []Run    `json:"with"`    // runs with the defect, until one was invalid
	Without  Run      `json:"without"` // the run without it
}

// Repetition is what became of an invalid run that was played again and again.
type Repetition struct {
	Verdict  checker.Verdict `json:"verdict"`  // invalid: the violation came back; valid: all runs were
	Checkers []string        `json:"checkers"` // that called the run invalid
	Same     int             `json:"same"`     // runs that one of these called invalid
	Low      float64         `json:"low"`      // 95 % interval of how often that is so (Wilson)
	High     float64         `json:"high"`
	Runs     []Run           `json:"runs"`
}

// Shrinking is what became of an invalid run that was made smaller.
type Shrinking struct {
	Checkers    []string `json:"checkers"` // that called the run invalid
	StepsBefore int      `json:"steps_before"`
	Steps       int      `json:"steps"`
	Runs        int      `json:"runs"`     // that it took
	File        string   `json:"file"`     // the scenario that is left
	Complete    bool     `json:"complete"` // false: the budget was over before all was tried
}

// Hunt is what became of a hunt.
type Hunt struct {
	Verdict      checker.Verdict `json:"verdict"` // invalid: something was found; valid: all runs were
	Runs         int             `json:"runs"`
	Found        int             `json:"found"`
	Unknown      int             `json:"unknown"`
	First        string          `json:"first,omitempty"` // run directory of the first violation
	FirstSeconds float64         `json:"first_seconds"`   // from the start of the hunt to that
	Kinds        []HuntKind      `json:"kinds"`           // the most telling first
	Effects      []HuntEffect    `json:"effects,omitempty"`
}

// HuntKind is what became of the runs with a kind of step.
type HuntKind struct {
	Family        string  `json:"family"`
	Role          string  `json:"role"`   // the word that the step was aimed at, or "named"
	Timing        string  `json:"timing"` // alone or overlapping
	Runs          int     `json:"runs"`
	Found         int     `json:"found"`
	Low           float64 `json:"low"` // 95 % interval of how often such runs find something (Wilson)
	High          float64 `json:"high"`
	MedianSeconds float64 `json:"median_seconds"` // from the start of a run to its violation
}

// HuntEffect is a family without which runs clearly find more, or less.
type HuntEffect struct {
	Family string `json:"family"`
	Effect string `json:"effect"` // triggers or suppresses
}

// HuntComparison is what became of hunts with what is learned and without.
type HuntComparison struct {
	Hunts          int     `json:"hunts"`           // of each
	LearnedSeconds float64 `json:"learned_seconds"` // to the first violation, median
	UniformSeconds float64 `json:"uniform_seconds"`
	LearnedMissed  int     `json:"learned_missed"` // that found none; they count as long as the budget
	UniformMissed  int     `json:"uniform_missed"`
	MedianSpeedUp  float64 `json:"median_speed_up"`
	WorstSpeedUp   float64 `json:"worst_speed_up"`
}

// Sweep is what became of a sweep; sweep.json in its directory is the same.
type Sweep report.Sweep

// Version is what the program is made of.
type Version struct {
	Version            string            `json:"version"`            // of Faultline; "(devel)" if it was built in a checkout
	Revision           string            `json:"revision,omitempty"` // of the source, if the build knew it
	Modified           bool              `json:"modified,omitempty"` // the source was not as committed in that revision
	Go                 string            `json:"go"`
	Platform           string            `json:"platform"`             // GOOS/GOARCH
	RunDirectoryFormat int               `json:"run_directory_format"` // that runs are written in; it reads older ones, too
	Modules            map[string]string `json:"modules"`              // versions of what agrees, gossips, judges, starts containers
}

// GossipModel is what `faultline gossip-model` says.
type GossipModel struct {
	Members      int          `json:"members"`
	Loss         float64      `json:"loss"`
	DelaySeconds float64      `json:"delay_seconds"`
	Pools        []GossipPool `json:"pools"` // what was asked about, or with --want what was found, the cheapest first
}

// GossipPool is one setting.
type GossipPool struct {
	Timing            string       `json:"timing"` // as --timing and --set would have it
	Runs              int          `json:"runs"`   // of the model
	Times             []GossipTime `json:"times"`
	LeftOut           float64      `json:"left_out"`   // members, of a broadcast
	ModelLate         int          `json:"model_late"` // broadcasts that gossip has not finished
	SuspicionsPerDay  float64      `json:"suspicions_per_day"`
	FalseDeathsPerDay float64      `json:"false_deaths_per_day"`
	ModelFalseDeaths  int          `json:"model_false_deaths"`
	BytesPerSecond    float64      `json:"bytes_per_second"` // sent by each member
	BroadcastBytes    float64      `json:"broadcast_bytes"`
}

// GossipTime is by when something has happened, in 50, 90, 99 and 99.9 % of cases. A null: perhaps never.
type GossipTime struct {
	What         string     `json:"what"`
	BoundSeconds []*float64 `json:"bound_seconds"`
	ModelSeconds []*float64 `json:"model_seconds,omitempty"`
}

// Package checker decides from the record of a run whether the system kept its promises.
//
//	events, _, err := history.ReadFile("history.jsonl")
//	run := &checker.Run{Settings: settings, Topology: topology, Events: events}
//	run.Ops, err = history.Operations(events)
//	run.Faults, run.Baseline, err = history.Faults(events)
//	verdict, results := checker.Judge(ctx, run, append(workload.Checkers, checker.All()...))
//
// A checker of a workload judges runs of that workload alone: [Linearizable] the register, [Mutex] the
// lock, [Append] lists, [Watch] watches, [Tree] listings; package workloads has the table. [All] lists the others, which judge every run that has what
// they need. The verdict of a run is the worst of its checkers': [Invalid] before [Unknown]
// before [Valid].
//
// A checker reads a [Run] and nothing else: no network, no files, no clock. So a stored run can be
// judged again, with the same result. The one exception is linearizable, which searches within
// a [Budget] of wall time, memory and cores. Its valid and invalid hold on every machine and with
// every budget; what it leaves unknown for lack of time or memory, a larger budget may decide.
//
// The package is not for recording histories (package history), for storing runs (package
// rundir), or for printing results (package report).
//
// All times are nanoseconds since the start of the run, as in package history, unless the type
// is time.Duration or the name says otherwise.
package checker

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// Verdict is the conclusion of a checker, or of a run.
type Verdict string

const (
	Valid   Verdict = "valid"
	Invalid Verdict = "invalid" // the system broke a promise; the Result shows where
	Unknown Verdict = "unknown" // neither can be concluded; the Result says why
	// NotApplicable is no judgement: the system makes no such promise, or does not report what it
	// would take to judge it, and the scenario did not ask for that.
	NotApplicable Verdict = "not applicable"
)

var badness = map[Verdict]int{NotApplicable: -1, Valid: 0, Unknown: 1, Invalid: 2}

// Worst returns the worst verdict: Invalid before Unknown before Valid. NotApplicable does not
// count. Without any verdict it returns Unknown.
func Worst(verdicts ...Verdict) Verdict {
	worst := NotApplicable
	for _, v := range verdicts {
		if _, known := badness[v]; !known {
			v = Unknown // a word of another version, or of nobody
		}
		if badness[v] > badness[worst] {
			worst = v
		}
	}
	if worst == NotApplicable {
		return Unknown
	}
	return worst
}

// Run is everything that a checker may read. Checkers do not change it.
type Run struct {
	Settings Settings
	Topology topologies.Topology
	Events   []history.Event     // in the order of the history
	Ops      []history.Operation // history.Operations(Events), by invoke
	Faults   []history.Fault     // history.Faults(Events)
	Baseline *history.FaultEvent // the final check of the cluster, also of history.Faults; nil if there was none
}

// Settings are the parts of a scenario on which a verdict depends.
type Settings struct {
	Workload string `json:"workload"`
	// Abilities are what the system can be asked for; null, as in old runs, means all.
	Abilities     []history.Ability `json:"abilities"`
	ExitsUnjoined bool              `json:"exits_unjoined"`  // nodes of the system that start to join end by themselves if they reach no member
	Mode          history.Mode      `json:"mode"`            // read mode of the clients
	OwnCopy       history.Mode      `json:"own_copy"`        // read mode in which servers answer from what they hold themselves; none, as in old runs, if empty
	RecoverWithin time.Duration     `json:"recover_within"`  // after the last heal, operations must succeed again by then
	MinOps        int               `json:"min_ops"`         // fewer successful operations are not enough for a verdict
	CheckTime     time.Duration     `json:"check_time"`      // wall time for one checker; 0 is no limit
	CheckMemoryMB int               `json:"check_memory_mb"` // memory for one checker, in MiB; 0 is 1024
	PlannedFaults int               `json:"planned_faults"`  // steps in the schedule
	ServiceLevels []ServiceLevel    `json:"service_levels,omitempty"`
	Format        int               `json:"format"` // of the run directory: 0 has no seal, 1 has one; 2 is FormatEvidence, 3 FormatLatest
}

// Checker judges one property. Users may define their own and pass them to [Judge].
type Checker struct {
	Name string // as in reports: linearizable
	Doc  string // the promise, and what the verdict depends on, in a sentence or two
	// Needs returns what a run lacks for the checker to be applicable, and "" if nothing; nil if the
	// checker judges any run.
	Needs func(run *Run) string
	// Prefix: a run whose beginning is invalid is invalid, whatever follows. So a run that is to end with
	// its first violation can be judged while it lasts.
	Prefix bool
	// Check judges a run. It should return soon after ctx ends, with Unknown if nothing is
	// decided by then. Judge sets Checker and Doc of the Result, and turns a panic into Unknown.
	Check func(ctx context.Context, run *Run) Result
}

// Result is the finding of one checker.
type Result struct {
	Checker string   `json:"checker"`
	Doc     string   `json:"doc,omitempty"` // of the checker
	Verdict Verdict  `json:"verdict"`
	Summary string   `json:"summary"`           // one sentence
	Reasons []string `json:"reasons,omitempty"` // why it is not valid, the most important first
	Metrics []Metric `json:"figures,omitempty"` // what was measured, in a fixed order
	// Counterexamples prove an invalid result of linearizable, append, watch, mutex or sessions, the shortest first for
	// linearizable. Other checkers have none.
	Counterexamples []Counterexample `json:"counterexamples,omitempty"`
	Budget          *Budget          `json:"budget,omitempty"` // of linearizable; nil for all others
}

// Metric is a named number. Without a Unit it is a count.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // s, ms, %, ops/s
}

// Counterexample is a part of the history that no correct system could have produced.
type Counterexample struct {
	Key     string              `json:"key"`
	Why     string              `json:"why"`  // the contradiction, as a clause
	Ops     []history.Operation `json:"ops"`  // the smallest failing sub-history, by invoke
	Of      int                 `json:"of"`   // operations on this key in the whole history
	Picture []byte              `json:"-"`    // Porcupine's HTML page of the key; may be empty
	File    string              `json:"file"` // the picture's name in the run directory; set by its writer
}

// Judge runs the checkers one after the other and returns the worst verdict and one Result for
// each, in their order. Each gets Settings.CheckTime of wall time. A checker that panics is
// Unknown, and so are those that have not begun when ctx ends. Without checkers the verdict is
// Unknown.
func Judge(ctx context.Context, run *Run, checkers []Checker) (Verdict, []Result) {
	var verdicts []Verdict
	var results []Result
	for _, c := range checkers {
		r := judgeOne(ctx, run, c)
		verdicts, results = append(verdicts, r.Verdict), append(results, r)
	}
	return Worst(verdicts...), results
}

func judgeOne(ctx context.Context, run *Run, c Checker) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = Result{Verdict: Unknown, Summary: fmt.Sprintf("the checker crashed: %v", p), Reasons: []string{string(debug.Stack())}}
		}
		r.Checker, r.Doc = c.Name, c.Doc
	}()
	if c.Needs != nil {
		if lacks := c.Needs(run); lacks != "" {
			return Result{Verdict: NotApplicable, Summary: lacks}
		}
	}
	if ctx.Err() != nil {
		return Result{Verdict: Unknown, Summary: "not run: " + context.Cause(ctx).Error()}
	}
	if run.Settings.CheckTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, run.Settings.CheckTime)
		defer cancel()
	}
	return c.Check(ctx, run)
}

// able is what a run lacks whose system does not have the ability.
func able(a history.Ability, lacks string) func(*Run) string {
	return func(run *Run) string {
		if run.Settings.can(a) {
			return ""
		}
		return lacks
	}
}

func (s Settings) can(a history.Ability) bool {
	return s.Abilities == nil || slices.Contains(s.Abilities, a)
}

// plural is a count with its noun: "1 fault", "3 faults".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

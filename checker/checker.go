// Package checker decides from the record of a run whether the system kept its
// promises. A checker reads a [Run] and nothing else: no network, no files, no clock of its own. So
// anyone can judge a stored run again, to the same result, with one exception: linearizable
// searches, within a [Budget] of wall time, memory and cores. What it calls valid or invalid
// is so on every machine and with every budget; what it leaves unknown for want of time or
// memory, a larger budget may decide. Its result records the budget that it was given and what
// it used. No other checker searches, mutex included.
//
// One file a property; All lists them. The verdict of a run is the worst of its
// checkers: invalid before unknown before valid.
//
// A checker of a workload judges that one alone: linearizable the register, mutex the lock (package
// workloads says so). All lists the others, which judge every run that has what they need.
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

// Verdict is what a checker, or a run, concludes.
type Verdict string

const (
	Valid   Verdict = "valid"
	Invalid Verdict = "invalid" // the system broke a promise, and the Result shows where
	Unknown Verdict = "unknown" // nobody can tell, and the Result says why
	// NotApplicable is no judgement: the system makes no such promise, or does not say what it
	// would take to judge it, and the scenario did not ask for that.
	NotApplicable Verdict = "not applicable"
)

var badness = map[Verdict]int{NotApplicable: -1, Valid: 0, Unknown: 1, Invalid: 2}

// Worst is the worst of the verdicts, of which those that are NotApplicable do not count. No
// verdict at all is Unknown.
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

// Run is all that a checker may look at.
type Run struct {
	Settings Settings
	Topology topologies.Topology
	Events   []history.Event
	Ops      []history.Operation // history.Operations(Events)
	Faults   []history.Fault     // history.Faults(Events)
	Baseline *history.FaultEvent // of history.Faults too
}

// Settings are the parts of a scenario that judgement depends on.
type Settings struct {
	Workload string `json:"workload"`
	// Abilities are what the system can be asked for; null, as in runs of old, means all.
	Abilities     []history.Ability `json:"abilities"`
	Mode          history.Mode      `json:"mode"`            // read mode that clients asked for
	RecoverWithin time.Duration     `json:"recover_within"`  // after the last heal, operations must succeed again by then
	MinOps        int               `json:"min_ops"`         // fewer successful operations prove nothing
	CheckTime     time.Duration     `json:"check_time"`      // budget of wall time for one checker; 0 is no limit
	CheckMemoryMB int               `json:"check_memory_mb"` // budget of memory for one checker, in MiB; 0 is 1024
	PlannedFaults int               `json:"planned_faults"`  // steps in the schedule
	Format        int               `json:"format"`          // of the run directory: 0 has no seal, 1 has one, see FormatEvidence for 2
}

// Checker judges one property.
type Checker struct {
	Name string // as in reports: linearizable
	Doc  string // what is promised, and what the verdict depends on, in a sentence or two
	// Needs says what a run lacks for the checker to be applicable; it is empty if nothing is,
	// and nil if any run will do.
	Needs func(run *Run) string
	Check func(ctx context.Context, run *Run) Result
}

// Result is what one checker found.
type Result struct {
	Checker string   `json:"checker"`
	Doc     string   `json:"doc,omitempty"` // of the checker
	Verdict Verdict  `json:"verdict"`
	Summary string   `json:"summary"`           // one sentence for people
	Reasons []string `json:"reasons,omitempty"` // why it is not valid, most telling first
	Metrics []Metric `json:"figures,omitempty"` // what was measured, in a fixed order
	// Counterexamples are what proves an invalid linearizable result, worst first.
	Counterexamples []Counterexample `json:"counterexamples,omitempty"`
	Budget          *Budget          `json:"budget,omitempty"` // of a checker that searches
}

// Metric is a named number.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Counterexample is a part of the history that no correct system could have produced.
type Counterexample struct {
	Key     string              `json:"key"`
	Why     string              `json:"why"`  // the contradiction, in words
	Ops     []history.Operation `json:"ops"`  // the smallest failing sub-history, by invoke
	Of      int                 `json:"of"`   // operations on this key in the whole history
	Picture []byte              `json:"-"`    // Porcupine's HTML page of the key, may be empty
	File    string              `json:"file"` // where a run directory keeps the picture; set by whoever writes it
}

// Judge runs every checker, one after the other, and puts a crash of one on its record
// as Unknown. When ctx ends, checkers that have not begun are Unknown too.
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

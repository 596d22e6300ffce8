package nemesis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"faultline/topologies/strict"
)

// Schedule says what is broken and when. The order of its steps means nothing but their
// numbers, which count from 0 and are those of the history's marks.
type Schedule struct {
	Seed  uint64 `yaml:"seed,omitempty"` // what Generate made it from; Play does not look at it
	Steps []Step `yaml:"steps"`

	file string // where Parse read it, for error texts
	line int
}

// Step is one fault of a schedule. Its YAML is one line: the fields below, and the options of
// the fault.
type Step struct {
	At     time.Duration // when it begins, from the start of the run, or from when on it waits
	For    time.Duration // how long it lasts; 0 for a momentary fault, or for the fault's own default
	Target Target        // whom it hits
	DC     string        // of which datacenter; may be left out where there is one, or the target says it
	Draw   uint64        // which nodes a word means; 0 takes the topology's order
	Fault  Fault         // what it does

	When     Trigger       // the event that it waits for; zero: none
	After    time.Duration // how long after the event it begins
	Within   time.Duration // from At on it waits no longer; 0 means DefaultWithin
	Optional bool          // what it needs may be missing: it is then skipped, and the run proves no less
	Skip     bool          // it is not played: Play says so of the steps that it skipped
	Fired    Trigger       // the event that made it begin, as Play says; decides nothing

	line int // where Parse read it, for error texts
}

// Name is that of the step's fault, empty if it has none.
func (s Step) Name() string {
	if s.Fault == nil {
		return ""
	}
	return s.Fault.Kind().Name
}

// Steps is a list of steps that reads itself from YAML, for files that hold more than a
// schedule.
type Steps []Step

// Target is whom a fault hits: a word, a list of node names, or all links between two datacenters.
type Target struct {
	Word    string
	Names   []string
	Between []string // in a file beside target, and in its place
}

// The words that a target may be. Not every fault takes every word. Those of roles are in roles.go.
const (
	One      = "one"             // one server
	Minority = "minority"        // a third of the servers at most, at least one
	Majority = "majority"        // a partition cuts off the smaller half; kill and pause hit the larger
	Ring     = "majorities-ring" // every server sees a majority, no two the same one
	Bridge   = "bridge"          // two halves that both see one bridging server
	Spare    = "spare"           // one spare
	All      = "all"             // every node, client agents too; of processes, no spares

	Datacenter = "datacenter" // all nodes of a datacenter, as one side of what is between it and the others
	WAN        = "wan"        // every link between nodes of different datacenters
)

var words = andRoles(All, Bridge, Datacenter, Ring, Majority, Minority, One, Spare, WAN)

// IsZero reports whether nobody is named.
func (t Target) IsZero() bool { return t.Word == "" && len(t.Names) == 0 && len(t.Between) == 0 }

func (t Target) String() string {
	if t.Word != "" {
		return t.Word
	}
	if t.Between != nil {
		return "between [" + strings.Join(t.Between, ", ") + "]"
	}
	return "[" + strings.Join(t.Names, ", ") + "]"
}

// Names is a Target of nodes by name.
func Names(names ...string) Target { return Target{Names: names} }

// End is when the last step is over.
func (s Schedule) End() time.Duration {
	var end time.Duration
	for _, step := range s.Steps {
		end = max(end, step.over())
	}
	return end
}

// Equal compares what two schedules say, wherever they were read.
func (s Schedule) Equal(other Schedule) bool { return s.String() == other.String() }

// Parse reads a schedule. file is only used in error texts. It knows the faults and their
// options, and nothing of nodes: see Check. For every schedule that it accepts, Parse of
// its String gives one that is Equal.
func Parse(file string, data []byte) (Schedule, error) {
	var s Schedule
	if err := strict.Decode(file, data, &s); err != nil {
		return Schedule{}, err
	}
	if s.line == 0 { // YAML's null never reaches UnmarshalYAML
		return Schedule{}, fmt.Errorf("%s: the file is empty", file)
	}
	s.file = file
	return s, nil
}

// String is the YAML form, a line for every step.
func (s Schedule) String() string {
	if s.Steps == nil {
		s.Steps = []Step{} // [] reads better than null
	}
	text, err := strict.Encode(s)
	if err != nil {
		return fmt.Sprintf("# the schedule does not encode: %v\n", err)
	}
	return text
}

// Label is the step in a few words, without its times.
func (s Step) Label() string {
	parts := []string{s.Name()}
	if !s.Target.IsZero() {
		parts = append(parts, s.Target.String())
	}
	if s.DC != "" {
		parts = append(parts, "of "+s.DC)
	}
	if l, ok := s.Fault.(labelled); ok && l.Label() != "" {
		parts = append(parts, l.Label())
	}
	return strings.Join(parts, " ")
}

// lasts is how long the step lasts, with the fault's default filled in.
func (s Step) lasts() time.Duration {
	if s.For == 0 && s.Fault != nil {
		return s.Fault.Kind().For
	}
	return s.For
}

// over is when the step is over at the latest; sums beyond what a Duration holds are the longest one.
func (s Step) over() time.Duration {
	lasts := s.lasts() + s.patience()
	if s.At > math.MaxInt64-max(lasts, 0) {
		return math.MaxInt64
	}
	return s.At + lasts
}

func (s Schedule) clone() Schedule {
	s.Steps = slices.Clone(s.Steps)
	return s
}

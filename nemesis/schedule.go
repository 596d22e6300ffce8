package nemesis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"faultline/nodes/faults"
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

// Step is one fault of a schedule. Its YAML is one line.
type Step struct {
	At     time.Duration // when it begins, from the start of the run
	For    time.Duration // how long it lasts; 0 for a momentary fault, or for the fault's own default
	Fault  string        // by name, see Faults
	Target Target        // whom it hits
	OneWay string        // partition and link: In, Out, or both ways
	Reject bool          // partition: refuse packets instead of dropping them
	Draw   uint64        // which nodes a word means; 0 takes the topology's order
	Torn   bool          // power-loss: tear what was not synced instead of losing all of it
	Names  string        // power-loss: which names it takes, journaled (also if empty) or posix
	// BelowMajority lets the step leave fewer voters than a majority; join, leave, remove, replace.
	BelowMajority bool
	Reads         int // deposed-leader-reads: how many; 0 for the default
	// Link is what a link fault does to packets. Its Drop, Reject and Seed are not used: the
	// first two are a partition's, and the draw is the seed.
	Link  faults.Link
	Clock faults.Clock // clock: what the clocks show
	Disk  faults.Disk  // disk: what is wrong with the disks; its Torn, Names and Damages are not used
	File  string       // bit-flip and truncate: which file, a pattern of path.Match

	line int // where Parse read it, for error texts
}

// One-way partitions, from the view of the group that is cut off.
const (
	In  = "in"  // it hears nothing, and is heard
	Out = "out" // it is not heard, and hears
)

// Steps is a list of steps that reads itself from YAML, for files that hold more than a
// schedule.
type Steps []Step

// Target is whom a fault hits: a word, or a list of node names.
type Target struct {
	Word  string
	Names []string
}

// The words that a target may be. Not every fault takes every word.
const (
	One      = "one"             // one server
	Minority = "minority"        // a third of the servers at most, at least one
	Majority = "majority"        // a partition cuts off the smaller half; kill and pause hit the larger
	Ring     = "majorities-ring" // every server sees a majority, no two the same one
	Bridge   = "bridge"          // two halves that both see one bridging server
	Primary  = "primary"         // the server that leads when the step begins
	Spare    = "spare"           // one spare
	All      = "all"             // every node, client agents too; of processes, no spares
)

var words = []string{All, Bridge, Ring, Majority, Minority, One, Primary, Spare}

// IsZero tells whether nobody is named.
func (t Target) IsZero() bool { return t.Word == "" && len(t.Names) == 0 }

func (t Target) String() string {
	if t.Word != "" {
		return t.Word
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

// Parse reads a schedule. file is only used in error texts. It knows nothing of faults
// and nodes: see Check. For every schedule that it accepts, Parse of its String gives
// one that is Equal.
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
	parts := []string{s.Fault}
	if !s.Target.IsZero() {
		parts = append(parts, s.Target.String())
	}
	if s.OneWay != "" {
		parts = append(parts, s.OneWay)
	}
	if s.Reject {
		parts = append(parts, "reject")
	}
	if s.Torn {
		parts = append(parts, "torn")
	}
	if s.Names != "" {
		parts = append(parts, "names "+s.Names)
	}
	if s.Link.Shaped() {
		parts = append(parts, s.Link.String())
	}
	if !s.Clock.Healthy() {
		parts = append(parts, s.Clock.String())
	}
	if !s.Disk.Healthy() {
		parts = append(parts, s.Disk.String())
	}
	if s.File != "" {
		parts = append(parts, s.File)
	}
	return strings.Join(parts, " ")
}

// lasts is how long the step lasts, with the fault's default filled in.
func (s Step) lasts() time.Duration {
	if f, ok := find(s.Fault); ok && s.For == 0 {
		return f.For
	}
	return s.For
}

// over is when the step is over; sums beyond what a Duration holds are the longest one.
func (s Step) over() time.Duration {
	lasts := s.lasts()
	if s.At > math.MaxInt64-max(lasts, 0) {
		return math.MaxInt64
	}
	return s.At + lasts
}

func (s Schedule) clone() Schedule {
	s.Steps = slices.Clone(s.Steps)
	return s
}

package nemesis

import (
	"context"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Fault is one way to break a cluster. A state (a partition, a paused process) is its
// Edit; what is not a state (a transfer of leadership, a burst of reads) is an Action.
// None of its functions draws a random number: every choice is in the Step. When they
// are called, the step has passed Check and its live roles are names.
type Fault struct {
	Name    string
	Family  string              // that Generate draws it in
	Doc     string              // what it does, in a sentence
	Targets []string            // words that it takes; beside them every fault takes node names
	Drawn   []string            // those of Targets that the step's draw decides
	Options []string            // further fields of a step that it takes: oneway, reject, reads, and those of links
	Needs   []faults.Capability // at most; which of them a step needs depends on its options
	Kinds   []Step              // with the settings of options of its own that Generate draws from

	Kills bool // it ends processes, beyond what Edit says
	Exits bool // it makes nodes end by themselves, beyond what disks do
	Wipes bool // it empties disks, beyond what Edit says
	Takes bool // while it lasts, whom it hits cannot be counted on as voters
	Gives bool // while it lasts, whom it hits are voters beside the topology's

	Seeded    bool          // the draw is also the seed of random numbers, whatever the target is
	Momentary bool          // an action without a heal
	For       time.Duration // how long it lasts if the step does not say; 0: the step must

	// Suits tells why a step cannot be played on a topology; may be nil.
	Suits func(t topologies.Topology, s Step) error
	// Nodes lists whom a step hits, by name.
	Nodes func(t topologies.Topology, s Step) []string
	// Around lists whom the step hits, given who leads, if its target is primary; nil
	// means the leader alone.
	Around func(t topologies.Topology, s Step, leader string) []string
	// Edit adds the fault to the conditions; nil if it changes none.
	Edit func(c *faults.Conditions, t topologies.Topology, s Step)
	// Base edits what the cluster is like without faults, before any Edit; nil changes
	// nothing of it.
	Base func(c *faults.Conditions, t topologies.Topology, s Step)
	// Asked says in words what is to become true, and AskedHeal what after the heal; nil
	// says it from Edit.
	Asked, AskedHeal func(nodes []string) string

	// Before runs before the conditions are set, After once they are proved, Heal right
	// before they are taken back. Each may be nil. Nothing else changes meanwhile.
	Before, After, Heal Action
	// Work runs from then on until it is done or the step is healed, and Rejoined from the
	// heal on until it has seen what it looks for; either may be nil. The schedule goes on
	// meanwhile. The step's start, or its heal, is proved by what they see. Work may add
	// conditions of its own, for a moment, by World.impose.
	Work, Rejoined Action
}

// Action is the part of a fault that is no state. It returns what it saw happen, in
// words; an error means that the effect which was asked for did not show.
type Action func(ctx context.Context, w World, s Step, hit []string) (seen string, err error)

// table is sorted by name.
var table = []Fault{
	bitFlip,
	clock,
	deposedLeaderReads,
	disk,
	join,
	kill,
	leave,
	link,
	partition,
	pause,
	powerLoss,
	remove,
	replace,
	restartStorm,
	rollingRestart,
	transfer,
	truncate,
}

// Faults lists all of them, sorted by name.
func Faults() []Fault { return slices.Clone(table) }

func find(name string) (Fault, bool) {
	i := slices.IndexFunc(table, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, false
	}
	return table[i], true
}

// withDefaults fills in what a step leaves to its fault.
func (f Fault) withDefaults(s Step) Step {
	s.For = s.lasts()
	if s.Target.IsZero() && slices.Equal(f.Targets, []string{Primary}) {
		s.Target.Word = Primary
	}
	return s
}

// led is the step with primary replaced by names, given who leads.
func (f Fault) led(t topologies.Topology, s Step, leader string) Step {
	hit := []string{leader}
	if f.Around != nil {
		hit = f.Around(t, s, leader)
	}
	s.Target = Names(hit...)
	if !f.Seeded {
		s.Draw = 0
	}
	return s
}

// alone is the conditions that the step makes by itself.
func (f Fault) alone(t topologies.Topology, s Step) faults.Conditions {
	var c faults.Conditions
	if f.Edit != nil {
		f.Edit(&c, t, s)
	}
	return c
}

package nemesis

import (
	"context"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Fault is one way to break a cluster: a value whose exported fields are its options, by
// their yaml tags (numbers, durations, words, booleans and ports; a `want` tag says what is
// expected of a value). None of its methods draws a random number: every choice is in the
// step. A fault that changes conditions is a [State]; one that does more, or something
// else, has Acts.
type Fault interface {
	// Kind is what all faults of the type have in common. It does not look at options.
	Kind() Kind
	// Validate says why a step with this fault cannot be played on a topology. Times and
	// target have been looked at; of a role that is only known live the target is some server.
	Validate(t topologies.Topology, s Step) error
	// Nodes lists whom a step that is valid, and whose target is not primary, hits, by name.
	Nodes(t topologies.Topology, s Step) []string
}

// State is a fault that changes conditions while it lasts.
type State interface {
	Fault
	// Apply adds the fault to the conditions.
	Apply(c *faults.Conditions, t topologies.Topology, s Step)
}

// Kind is a line of the table of faults.
type Kind struct {
	Name    string
	Family  string              // that Generate draws it in
	Doc     string              // what it does, in a sentence
	Targets []string            // words that it takes; beside them every fault takes node names
	Drawn   []string            // those of Targets that the step's draw decides
	Needs   []faults.Capability // at most; which of them a step needs depends on its options
	Asks    []history.Ability   // of the system

	Kills         bool // it ends processes, beyond what Apply says
	Exits         bool // it makes nodes end by themselves, beyond what disks do
	Wipes         bool // it empties disks, beyond what Apply says
	StopsNodes    bool // whom it hits does nothing while it lasts
	RemovesVoters bool // while it lasts, whom it hits cannot be counted on as voters
	AddsVoters    bool // while it lasts, whom it hits are voters beside the topology's
	NeedsLeader   bool // it proves nothing where nobody leads
	Alone         bool // Generate lets nothing overlap it
	Between       bool // it takes the links between two datacenters as its target
	Remote        bool // it is about what other datacenters ask of one

	Seeded    bool          // the draw is also the seed of random numbers, whatever the target is
	Momentary bool          // an action without a heal
	For       time.Duration // how long it lasts if the step does not say; 0: the step must
	LeastFor  time.Duration // the shortest that Generate draws; 0: a second

	// Asked says in words what is to become true, and AskedHeal what after the heal; nil
	// says it from the conditions.
	Asked, AskedHeal func(targets []string) string
}

// Acts is what a fault does beside its conditions. Each may be nil.
type Acts struct {
	// Before runs before the conditions are set, After once they are as asked, Heal right
	// before they are taken back. Nothing else changes meanwhile.
	Before, After, Heal Action
	// Work runs from then on until it is done or the step is healed, and Rejoined from the
	// heal on until it has seen what it looks for. The schedule goes on meanwhile. What they
	// see is evidence of the step's start, or of its heal. Work may add conditions of its
	// own, for a moment, by World.addConditions.
	Work, Rejoined Action
	// Note asks, before anything is done, for something worth telling in a report.
	Note func(ctx context.Context, w World, targets []string) (words string)
}

// Action is the part of a fault that is no state. It returns what it saw, whether or not
// that is what was to be seen; an error says what kept it from acting or from looking.
type Action func(ctx context.Context, w World, s Step, targets []string) (Seen, error)

// Seen is what an action saw.
type Seen struct {
	Findings []faults.Finding
	Note     string // for people
}

func found(f ...faults.Finding) Seen { return Seen{Findings: f} }

// Faults that are more than their kind and their conditions say so by these methods.
type (
	acting interface{ Acts() Acts }
	// A baseliner changes what the cluster is like without faults, before any Apply.
	baseliner interface {
		ApplyBaseline(c *faults.Conditions, t topologies.Topology, s Step)
	}
	// An expander hits others too, if the step's target is primary.
	expander interface {
		ExpandPrimary(t topologies.Topology, s Step, leader string) []string
	}
	// A sampled fault has settings of its options that Generate draws from.
	sampled interface{ Samples() []Fault }
	// A varied fault has options that Generate draws beside; pick returns one of n.
	varied interface {
		Vary(target Target, pick func(n int) int) Fault
	}
	// A timed fault has options of time that a swarm draws; between draws a time of every order of magnitude.
	timed interface {
		Timed(between func(least, most time.Duration) time.Duration) (f Fault, lasts time.Duration)
	}
	// A labelled fault says its options in a few words.
	labelled interface{ Label() string }
	// A waking fault may end so long after another leads, and not when the step says; 0 if it does not.
	waking interface{ wakesAfter() time.Duration }
	// A fault that is bound by a majority may be told not to be.
	majorityBound interface{ mayGoBelow() bool }
)

// table is sorted by name.
var table = []Fault{
	BitFlip{},
	Clock{},
	DeposedLeaderReads{},
	Disk{},
	Flap{},
	Join{},
	Kill{},
	Leave{},
	Link{},
	Partition{},
	Pause{},
	PowerLoss{},
	RemoteLeaderKill{},
	Remove{},
	Replace{},
	RestartStorm{},
	RollingRestart{},
	Transfer{},
	Truncate{},
}

// Faults lists a fault of every kind, without options, sorted by name.
func Faults() []Fault { return slices.Clone(table) }

func find(name string) (Fault, bool) {
	i := slices.IndexFunc(table, func(f Fault) bool { return f.Kind().Name == name })
	if i < 0 {
		return nil, false
	}
	return table[i], true
}

func actsOf(f Fault) Acts {
	if a, ok := f.(acting); ok {
		return a.Acts()
	}
	return Acts{}
}

func samplesOf(f Fault) []Fault {
	if s, ok := f.(sampled); ok {
		return s.Samples()
	}
	return nil
}

func wakesAfter(f Fault) time.Duration {
	if w, ok := f.(waking); ok {
		return w.wakesAfter()
	}
	return 0
}

func mayGoBelow(f Fault) bool {
	m, ok := f.(majorityBound)
	return ok && m.mayGoBelow()
}

// changes reports whether a fault makes or takes back conditions.
func changes(f Fault) bool {
	_, state := f.(State)
	_, base := f.(baseliner)
	return state || base || actsOf(f).Work != nil
}

// BelowMajority is the option of faults that take voters away.
type BelowMajority struct {
	// BelowMajority lets the step leave fewer voters than a majority.
	BelowMajority bool `yaml:"below-majority,omitempty"`
}

func (b BelowMajority) mayGoBelow() bool { return b.BelowMajority }

// withDefaults fills in what a step leaves to its fault.
func (s Step) withDefaults() Step {
	s.For = s.lasts()
	if s.Fault != nil && s.Target.IsZero() && slices.Equal(s.Fault.Kind().Targets, []string{Primary}) {
		s.Target.Word = Primary
	}
	return s
}

// led is the step with a role replaced by names, given who has the role.
func (s Step) led(t topologies.Topology, leader string) Step {
	targets := []string{leader}
	if e, ok := s.Fault.(expander); ok {
		targets = e.ExpandPrimary(s.scope(t), s, leader)
	}
	s.Target = Names(targets...)
	if !s.Fault.Kind().Seeded {
		s.Draw = 0
	}
	return s
}

// alone is the conditions that the step makes by itself.
func (s Step) alone(t topologies.Topology) faults.Conditions {
	var c faults.Conditions
	if state, ok := s.Fault.(State); ok {
		state.Apply(&c, s.scope(t), s)
	}
	return c
}

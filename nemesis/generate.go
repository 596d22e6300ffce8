package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// Options is what Generate makes a schedule from.
type Options struct {
	Seed     uint64
	Families []string      // by name; none means all that the topology allows
	Interval time.Duration // between the starts of faults, on average; 0 means DefaultInterval
	Duration time.Duration // within which faults begin and are healed
	Topology topologies.Topology
	// Can reports whether the system has an ability; nil is one that has all. Faults that ask for one
	// that it lacks are not drawn.
	Can func(history.Ability) bool
	// MemberChange is how long the system may take, when nothing is wrong, to let a server join: faults that
	// show that one does last so much longer.
	MemberChange time.Duration
	// Ports are those of the system's traffic.
	Ports TrafficPorts
	// Swarm draws a swarm (swarm.go) instead of a deck: Interval then means nothing.
	Swarm bool
	// Weights says how much more often than not a swarm has a family, and how often it is drawn beside the others; 1 where
	// it does not say, 0 is never.
	Weights map[string]float64
	// Logs and Snapshots are the files, patterns from a node's data directory, of which the system notices that they
	// are damaged; those of Snapshots come in the course of a run. A swarm damages no others, because nothing survives
	// damage that nobody can notice.
	Logs, Snapshots []string
}

// DefaultInterval is the mean time between the starts of faults.
const DefaultInterval = 5 * time.Second

const (
	// settle is how long a cluster is left alone before a step that needs a leader: what
	// finds none proves nothing. An election takes 1 to 3 s at raft multiplier 1.
	settle = 3 * time.Second
	// headroom is what a momentary fault is given before the end.
	headroom = 2 * time.Second
	// A fault that is shorter is hardly more than its own probing.
	leastFor = time.Second
	mostFor  = 15 * time.Second
	// grain makes schedules readable.
	grain = 100 * time.Millisecond
	// draws are below this: small enough to read, and enough for all orders of five servers.
	draws = 1000
	// stream sets this generator apart from others that are given the same seed.
	stream = 0x6e656d65736973
)

// Generate makes a schedule. The same options make the same schedule, in every version
// of Faultline that draws the same faults with the same settings.
//
// Of a deck, faults may overlap, but a schedule asks for nothing that a correct cluster could fail
// to show: a step that needs a leader (target primary, transfer, leave) begins only when
// all has been healed for a while, nothing overlaps a deposed leader, and of the faults
// that stop a majority of processes there is one at a time. Every family comes up before
// one comes up again. See swarm for the other style.
func Generate(o Options) (Schedule, error) {
	chosen, err := o.families()
	if err != nil {
		return Schedule{}, err
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Interval < grain {
		return Schedule{}, fmt.Errorf("the interval of faults is %s; the least is %s", o.Interval, grain)
	}
	g := generator{Options: o, rng: rand.New(rand.NewPCG(o.Seed, stream))}
	s := Schedule{Seed: o.Seed}
	if o.Swarm {
		if s.Steps, err = g.swarm(chosen); err != nil {
			return Schedule{}, err
		}
	} else {
		s.Steps = g.deck(chosen)
	}
	if len(s.Steps) == 0 {
		return Schedule{}, fmt.Errorf("no fault fits into %s at an interval of %s; give it more time", o.Duration, o.Interval)
	}
	return s, nil
}

// deck draws every family once before one comes up again.
func (g *generator) deck(chosen []Family) (steps []Step) {
	var deck []Family
	for {
		if len(deck) == 0 {
			deck = slices.Clone(chosen)
			g.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		step, ok := g.next(deck[0])
		if !ok {
			return steps
		}
		deck, steps = deck[1:], append(steps, step)
	}
}

// families finds the families asked for, and leaves out the variants that the topology or the system
// does not allow.
func (o Options) families() ([]Family, error) {
	var chosen []Family
	for _, f := range families {
		if len(o.Families) > 0 && !slices.Contains(o.Families, f.Name) {
			continue
		}
		f.variants = slices.DeleteFunc(slices.Clone(f.variants), func(v variant) bool { return len(o.places(v)) == 0 })
		possible := len(f.variants) > 0
		f.variants = slices.DeleteFunc(f.variants, func(v variant) bool {
			return o.Can != nil && o.alone(v, o.places(v)[0]).CheckAbilities("", o.Can) != nil
		})
		switch {
		case len(f.variants) > 0:
			chosen = append(chosen, f)
		case len(o.Families) > 0 && possible:
			return nil, fmt.Errorf("faults of the family %s ask for more than the system can do", f.Name)
		case len(o.Families) > 0:
			return nil, fmt.Errorf("faults of the family %s cannot be played on %s", f.Name, o.Topology.Name)
		}
	}
	for _, name := range o.Families {
		if !slices.ContainsFunc(families, func(f Family) bool { return f.Name == name }) {
			return nil, fmt.Errorf("no family of faults %q; there are %s", name, strings.Join(familyNames(), ", "))
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no fault can be played on %s", o.Topology.Name)
	}
	return chosen, nil
}

// alone is a schedule of one step.
func (o Options) alone(v variant, at place) Schedule {
	return Schedule{Steps: []Step{v.step(o.Topology, at, 0)}}
}

// place is where a step is drawn: in a datacenter, or between two; empty is anywhere.
type place struct {
	dc      string
	between []string
}

// places are those at which a variant can be played. Where there is one datacenter, it is not named.
func (o Options) places(v variant) (fit []place) {
	var all []place
	switch names := o.Topology.DatacenterNames(); {
	case len(names) == 1, v.target == WAN:
		all = []place{{}}
	case v.target == betweenTwo:
		for i, a := range names {
			for _, b := range names[i+1:] {
				all = append(all, place{between: []string{a, b}})
			}
		}
	default:
		for _, dc := range names {
			all = append(all, place{dc: dc})
		}
		if v.target == All {
			all = append(all, place{})
		}
	}
	for _, at := range all {
		f, _ := find(v.fault)
		if slow := !f.Kind().Remote || remote(o.Topology, at.dc); slow && o.alone(v, at).checkSteps(o.Topology) == nil {
			fit = append(fit, at)
		}
	}
	return fit
}

func familyNames() []string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.Name
	}
	return names
}

// step is the variant at a place, without its options and times; pick chooses the client agent.
func (v variant) step(t topologies.Topology, at place, pick int) Step {
	f, _ := find(v.fault) // the table of families is tested
	s := Step{Fault: f, Target: Target{Word: v.target}, DC: at.dc}
	switch v.target {
	case someClient:
		s.Target = Target{}
		if all := drawn(t.In(at.dc), 0).clients; len(all) > 0 {
			s.Target = Names(all[pick%len(all)])
		}
	case betweenTwo:
		s.Target = Target{Between: at.between}
	}
	if samples := samplesOf(f); len(samples) > 0 {
		s.Fault = samples[0]
	}
	if kind := f.Kind(); !kind.Momentary && kind.For == 0 {
		s.For = Options{}.leastOf(kind)
	}
	return s
}

type generator struct {
	Options
	rng *rand.Rand

	last     time.Duration // start of the last step
	healed   time.Duration // end of all steps so far
	floor    time.Duration // nothing begins before
	majority time.Duration // end of the last fault that stops a majority of processes
}

// next makes a step of a family; not ok means that it does not fit any more.
func (g *generator) next(family Family) (Step, bool) {
	v := g.variant(family)
	s := v.step(g.Topology, g.place(v), g.rng.IntN(len(g.Topology.Nodes())))
	g.options(&s)
	kind := s.Fault.Kind()

	s.At = max(g.last+g.between(g.Interval/2, g.Interval*3/2), g.floor)
	if needsLeader(s) && g.healed > 0 {
		s.At = max(s.At, g.healed+settle)
	}
	if stopsMajority(s) {
		s.At = max(s.At, g.majority)
	}
	least := max(g.leastOf(kind), kind.For)
	if !kind.Momentary {
		s.For = g.between(max(least, g.Interval/2), min(max(mostFor, least), least+g.Interval))
		s.For = min(s.For, g.Duration-s.At)
	}
	over := s.At + s.For
	if kind.Momentary {
		over += headroom
	}
	if over > g.Duration || !kind.Momentary && s.For < least {
		return Step{}, false
	}

	g.last, g.healed = s.At, max(g.healed, over)
	if kind.Alone || kind.Momentary || waits(s.Fault) {
		g.floor = over
	}
	if g.MemberChange > 0 && (kind.RemovesVoters || kind.AddsVoters) { // whom it hits joins again after the heal, as long as the system takes for that
		g.floor = max(g.floor, over+g.MemberChange)
	}
	if stopsMajority(s) {
		g.majority = over
	}
	return s, true
}

func (g *generator) variant(family Family) variant {
	total := 0
	for _, v := range family.variants {
		total += v.weight
	}
	pick := g.rng.IntN(total)
	for _, v := range family.variants {
		if pick < v.weight {
			return v
		}
		pick -= v.weight
	}
	panic("the weights of a family do not add up")
}

// place draws where a step is played. It draws nothing where there is no choice.
func (g *generator) place(v variant) place {
	all := g.places(v)
	if len(all) == 1 {
		return all[0]
	}
	return all[g.rng.IntN(len(all))]
}

// options draws what else the fault takes.
func (g *generator) options(s *Step) {
	if kind := s.Fault.Kind(); kind.Seeded || slices.Contains(kind.Drawn, s.Target.Word) || s.Target.Word == Follower {
		s.Draw = g.rng.Uint64N(draws)
	}
	if samples := samplesOf(s.Fault); len(samples) > 0 {
		s.Fault = samples[g.rng.IntN(len(samples))]
	}
	if v, ok := s.Fault.(varied); ok {
		s.Fault = g.withOnly(v.Vary(s.Target, g.rng.IntN))
	}
}

// between draws a time from least to most.
func (g *generator) between(least, most time.Duration) time.Duration {
	if most < least {
		most = least
	}
	return (least + time.Duration(g.rng.Int64N(int64(most-least)+1))).Round(grain)
}

func (o Options) leastOf(k Kind) time.Duration {
	least := max(k.LeastFor, leastFor)
	if k.AddsVoters {
		least += o.MemberChange
	}
	return least
}

func needsLeader(s Step) bool {
	return s.Target.Word == Primary || s.Fault.Kind().NeedsLeader || waits(s.Fault)
}

// waits reports whether a fault is shown by what a cluster can only show while a majority
// of it is well: nothing overlaps it.
func waits(f Fault) bool { return actsOf(f).Work != nil || actsOf(f).Rejoined != nil }

func stopsMajority(s Step) bool {
	return s.Fault.Kind().StopsNodes && (s.Target.Word == Majority || s.Target.Word == All)
}

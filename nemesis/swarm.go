package nemesis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// A swarm is a schedule of few kinds of faults, each drawn by its own weight, so that over many seeds every
// combination of families comes up, and none is always there to hide what another would show: what is left out
// matters as much as what is in (Groce, Zhang, Eide, Chen, Regehr: Swarm Testing, ISSTA 2012). Times are of every
// order of magnitude, and up to three faults overlap, also on whoever leads, has just been elected, or was deposed.
//
// A correct cluster shows all of it nevertheless. Conditions are measured whatever the cluster does, so they need
// nothing but somebody to hit: a step that is aimed at a role, or waits for an event, is skipped if there is none in
// time. What only a working cluster can show (leadership handed over, members that come and go, a deposed leader, a
// rolling restart) begins when all has been healed for a while, and nothing overlaps it but wrong clocks, which
// keep nobody from a vote. The same holds for damaged files, for another reason: a server that lost the end of its
// log knows nothing of that, and with one more that is behind could elect a leader that lacks what was acknowledged.

const (
	swarmLeast = 50 * time.Millisecond // of the time from step to step, and of that a fault lasts
	swarmMost  = 15 * time.Second
	swarmGrain = 10 * time.Millisecond
	// mostAtOnce is how many faults of a swarm overlap, those that still wait counted.
	mostAtOnce = 3
	// A step waits so long for somebody who has its role, or for its trigger: an election takes 1 to 3 s.
	roleSoon, triggerSoon = 3 * time.Second, 8 * time.Second
	// swarmTries is how many steps are drawn for one place before the schedule is full.
	swarmTries = 3
	// mostDamage is how long files are damaged at most.
	mostDamage = 8 * time.Second
	// From then on a server of a cluster that takes snapshots has one.
	snapshotsFrom = 15 * time.Second
	// spread is by how much the drawn weights of families differ at most, either way.
	spread = 4
)

// swarm draws the steps of a schedule.
func (g *generator) swarm(chosen []Family) ([]Step, error) {
	sw := swarm{generator: g, weights: map[string]float64{}}
	if err := sw.choose(chosen); err != nil {
		return nil, err
	}
	for tries := 0; tries < swarmTries; {
		if step, ok := sw.next(); ok {
			sw.steps, tries = append(sw.steps, step), 0
		} else {
			tries++
		}
	}
	return sw.steps, nil
}

type swarm struct {
	*generator
	families []Family
	weights  map[string]float64
	steps    []Step
	calm     time.Duration // nothing that harms the cluster begins before
	renewed  bool          // a server has come with an empty disk, and need not have a snapshot
}

// choose takes each family with its weight as the odds, so of a weight of 1 every other time, and at least one.
func (sw *swarm) choose(allowed []Family) error {
	for _, name := range slices.Sorted(maps.Keys(sw.Weights)) {
		if w := sw.Weights[name]; !(w >= 0) || math.IsInf(w, 1) {
			return fmt.Errorf("the weight of family %s is %v; want a number from 0 on", name, w)
		}
		if !slices.Contains(familyNames(), name) {
			return fmt.Errorf("no family of faults %q has a weight; there are %v", name, familyNames())
		}
	}
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(f Family) bool { return sw.weightOf(f) == 0 })
	if len(allowed) == 0 {
		return fmt.Errorf("every family of faults has the weight 0")
	}
	for _, f := range allowed {
		if w := sw.weightOf(f); sw.rng.Float64()*(1+w) < w {
			sw.families = append(sw.families, f)
		}
	}
	if len(sw.families) == 0 {
		sw.families = []Family{allowed[sw.rng.IntN(len(allowed))]}
	}
	for _, f := range sw.families {
		sw.weights[f.Name] = sw.weightOf(f) * math.Pow(spread, 2*sw.rng.Float64()-1)
	}
	return nil
}

func (sw *swarm) weightOf(f Family) float64 {
	if w, ok := sw.Weights[f.Name]; ok {
		return w
	}
	return 1
}

// next draws one more step; not ok means that it does not fit.
func (sw *swarm) next() (s Step, ok bool) {
	last := time.Duration(0)
	if n := len(sw.steps); n > 0 {
		last = sw.steps[n-1].At
	}
	family := sw.family()
	s = sw.shape(family)
	s.At = last + sw.between(swarmLeast, swarmMost)
	sw.aim(&s)
	sw.options(&s)
	sw.length(&s)
	if s.At = sw.free(s); !sw.fits(&s) {
		return s, false
	}
	kind := s.Fault.Kind()
	if needsCalm(s) {
		sw.calm = s.over()
	}
	if damages(s.Fault) {
		sw.calm += settle // the others must have all that this server lost
	}
	if sw.MemberChange > 0 && (kind.RemovesVoters || kind.AddsVoters) {
		sw.calm = max(sw.calm, s.over()+sw.MemberChange)
	}
	sw.renewed = sw.renewed || kind.Name == "replace" || kind.AddsVoters
	if stopsMajority(s) {
		sw.majority = s.over()
	}
	return s, true
}

// family draws one by weight.
func (sw *swarm) family() Family {
	total := 0.0
	for _, f := range sw.families {
		total += sw.weights[f.Name]
	}
	pick := sw.rng.Float64() * total
	for _, f := range sw.families {
		if pick -= sw.weights[f.Name]; pick < 0 {
			return f
		}
	}
	return sw.families[len(sw.families)-1]
}

// shape draws a variant of a family, without its times and options.
func (sw *swarm) shape(family Family) Step {
	files := sw.Logs
	if n := len(sw.steps); n > 0 && sw.steps[n-1].At > snapshotsFrom && !sw.renewed {
		files = slices.Concat(sw.Logs, sw.Snapshots)
	}
	spared := slices.DeleteFunc(sw.Topology.DatacenterNames(), func(dc string) bool { return len(sw.Topology.In(dc).Servers()) < 3 })
	if family.Name == (Disk{}).Kind().Family && len(files) > 0 && len(spared) > 0 && sw.rng.IntN(4) == 0 {
		file := damage{File: files[sw.rng.IntN(len(files))]}
		s := Step{Target: Target{Word: One}, Fault: []Fault{BitFlip{file}, Truncate{file}}[sw.rng.IntN(2)]}
		if len(sw.Topology.Datacenters) > 1 {
			s.DC = spared[sw.rng.IntN(len(spared))]
		}
		return s
	}
	v := sw.variant(family)
	return v.step(sw.Topology, sw.place(v), sw.rng.IntN(len(sw.Topology.Nodes())))
}

// aim draws a role in place of the leader, and whether the step waits for an event.
func (sw *swarm) aim(s *Step) {
	kind := s.Fault.Kind()
	s.Optional = s.Optional || kind.RemovesVoters
	if sw.can(history.ObservesLeaders) && !needsCalm(*s) && s.datacenter(sw.Topology) != "" {
		if s.Target.Word == Primary && slices.Contains(kind.Targets, NewLeader) && sw.rng.IntN(2) == 0 {
			s.Target.Word = sw.role()
		}
		if n := len(sw.steps); n > 0 && deposes(sw.steps[n-1]) && sw.steps[n-1].DC == s.DC && sw.rng.IntN(2) == 0 {
			s.At = sw.steps[n-1].At // what comes of that is waited for
			sw.trigger(s)
		} else if sw.rng.IntN(10) == 0 {
			sw.trigger(s)
		}
	}
	if s.aims() {
		s.Optional = true
	}
	if s.waits() && s.Within == 0 {
		s.Within = roleSoon
	}
}

func (sw *swarm) role() string {
	words := []string{NewLeader, NewLeader, FormerLeader, FormerLeader, Follower}
	if sw.can(history.ObservesLogs) {
		words = append(words, Lagging)
	}
	return words[sw.rng.IntN(len(words))]
}

func (sw *swarm) trigger(s *Step) {
	s.When = []Trigger{{Event: LeaderElected}, {Event: LeaderElected}, {Event: LeaderElected}, {Event: LeaderLost}, {Event: LeaderLost},
		{OpenOperations, 2 << sw.rng.IntN(3)}}[sw.rng.IntN(6)]
	s.Within = triggerSoon
	if s.When.Event != OpenOperations {
		s.After = sw.between(10*time.Millisecond, 3*time.Second)
	}
}

func (sw *swarm) can(a history.Ability) bool { return sw.Can == nil || sw.Can(a) }

// length draws how long the step lasts.
func (sw *swarm) length(s *Step) {
	kind := s.Fault.Kind()
	if t, ok := s.Fault.(timed); ok {
		s.Fault, s.For = t.Timed(sw.between)
		return
	}
	switch least := sw.least(*s); {
	case kind.Momentary:
	case damages(s.Fault):
		s.For = sw.between(least, mostDamage)
	default:
		s.For = sw.between(least, max(swarmMost, least))
	}
}

func (sw *swarm) least(s Step) time.Duration {
	kind := s.Fault.Kind()
	if needsCalm(s) {
		return max(sw.leastOf(kind), kind.For, 2*kind.LeastFor) // on a busy machine a storm of 3 s kills only once
	}
	return max(swarmLeast, kind.LeastFor)
}

// free is the earliest time, from the step's own on, at which it asks for nothing that a correct cluster could fail to show.
func (sw *swarm) free(s Step) time.Duration {
	at := s.At
	if !harmless(s.Fault) {
		at = max(at, sw.calm)
	}
	if stopsMajority(s) {
		at = max(at, sw.majority)
	}
	if needsCalm(s) {
		for _, other := range sw.steps {
			if !harmless(other.Fault) {
				at = max(at, other.over()+settle)
			}
		}
	}
	for {
		var ends []time.Duration
		for _, other := range sw.steps {
			if other.over() > at {
				ends = append(ends, other.over())
			}
		}
		if len(ends) < mostAtOnce {
			return at
		}
		at = slices.Min(ends)
	}
}

// fits makes the step shorter if it would end too late, and reports whether it can be that short.
func (sw *swarm) fits(s *Step) bool {
	if s.Fault.Kind().Momentary {
		return s.over()+headroom <= sw.Duration
	}
	if _, fixed := s.Fault.(timed); !fixed {
		s.For = min(s.For, sw.Duration-s.At-s.patience())
	}
	return s.For >= sw.least(*s) && s.over() <= sw.Duration
}

// between draws a time from least to most, log-uniformly: a tenth of a second to one is as likely as one to ten.
func (sw *swarm) between(least, most time.Duration) time.Duration {
	drawn := float64(least) * math.Pow(float64(most)/float64(least), sw.rng.Float64())
	return max(time.Duration(drawn).Round(swarmGrain), least)
}

// needsCalm reports whether a step shows nothing, or harms a correct cluster, unless all is well with everybody else.
func needsCalm(s Step) bool {
	kind := s.Fault.Kind()
	return kind.Alone || kind.Momentary || kind.NeedsLeader || kind.RemovesVoters || kind.AddsVoters || waits(s.Fault) || damages(s.Fault)
}

// harmless reports whether a fault keeps no server from voting and serving.
func harmless(f Fault) bool { return f.Kind().Family == (Clock{}).Kind().Family }

func damages(f Fault) bool { return slices.Contains(f.Kind().Needs, faults.DiskDamage) }

// deposes reports whether a step may make the cluster elect another leader.
func deposes(s Step) bool {
	hits := s.aims() && s.Target.Word != Follower && s.Target.Word != Lagging || stopsMajority(s)
	return hits && !needsCalm(s) && !harmless(s.Fault) && s.For >= time.Second
}

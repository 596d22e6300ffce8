package nemesis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Check refuses a schedule that cannot be played on a topology by a runtime which has
// these capabilities. It reports every step that is wrong, a line each.
func (s Schedule) Check(t topologies.Topology, have []faults.Capability) error {
	for _, need := range t.Baseline().Needs() {
		if !slices.Contains(have, need) {
			return fmt.Errorf("topology %s needs %s, which the runtime lacks; it has %s", t.Name, need, orNone(have))
		}
	}
	err := s.checkEach(func(step Step) error {
		if err := step.check(t); err != nil {
			return err
		}
		for _, need := range step.needs(t) {
			if !slices.Contains(have, need) {
				return fmt.Errorf("%s needs %s, which the runtime lacks; it has %s", step.Name(), need, orNone(have))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.checkVoters(t)
}

// checkSteps is Check whatever runtime there will be.
func (s Schedule) checkSteps(t topologies.Topology) error {
	if err := s.checkEach(func(step Step) error { return step.check(t) }); err != nil {
		return err
	}
	return s.checkVoters(t)
}

// Needs lists the capabilities that a schedule which passes Check asks of a runtime, sorted.
func (s Schedule) Needs(t topologies.Topology) []faults.Capability {
	all := t.Baseline().Needs()
	for _, step := range s.Steps {
		if step.Fault != nil {
			all = append(all, step.needs(t)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s Step) needs(t topologies.Topology) []faults.Capability {
	return s.rehearsed(t).alone(t).Needs()
}

func (s Schedule) checkEach(check func(Step) error) error {
	var wrong []error
	for i, step := range s.Steps {
		if err := check(step); err != nil {
			wrong = append(wrong, fmt.Errorf("%sstep %d: %w", s.position(step), i, err))
		}
	}
	return errors.Join(wrong...)
}

// position is "FILE:LINE: ", as far as it is known.
func (s Schedule) position(step Step) string {
	switch {
	case step.line == 0:
		return ""
	case s.file == "":
		return fmt.Sprintf("line %d: ", step.line)
	}
	return fmt.Sprintf("%s:%d: ", s.file, step.line)
}

// check looks at one step, whatever runtime there will be.
func (s Step) check(t topologies.Topology) error {
	if s.Fault == nil {
		return fmt.Errorf("fault is missing; there are %s", strings.Join(faultNames(), ", "))
	}
	kind := s.Fault.Kind()
	full := s.withDefaults()
	if err := errors.Join(checkTimes(kind, s), s.checkWaiting(), checkTarget(kind, t, full), full.checkDatacenters(t), checkDraw(kind, full)); err != nil {
		return oneLine(err)
	}
	return s.Fault.Validate(s.scope(t), s.rehearsed(t))
}

// rehearsed is the step with its defaults, and with some server in place of the leader.
// A fault that would hit others beside the leader stays as it is, because its word says more than a name.
func (s Step) rehearsed(t topologies.Topology) Step {
	s = s.withDefaults()
	if _, more := s.Fault.(expander); isRole(s.Target.Word) && !more && len(t.Servers()) > 0 {
		return s.led(t, s.scope(t).Servers()[0].Name)
	}
	return s
}

// longest is the latest start and the longest time of a step: no scenario's time-limit is
// longer, and sums of a few of them are far from what a Duration holds.
const longest = 7 * 24 * time.Hour

func checkTimes(f Kind, s Step) error {
	switch {
	case s.At < 0:
		return fmt.Errorf("at is %s, before the run", s.At)
	case s.For < 0:
		return fmt.Errorf("for is %s", s.For)
	case s.At > longest || s.For > longest:
		return fmt.Errorf("at %s, for %s: want at most %s of each, as long as a run may last", s.At, s.For, longest)
	case f.Momentary && s.For != 0:
		return fmt.Errorf("%s is momentary; leave out for", f.Name)
	case !f.Momentary && s.For == 0 && f.For == 0:
		return fmt.Errorf("for is missing: how long %s lasts", f.Name)
	}
	return nil
}

// checkWaiting looks at what says when a step begins that may wait.
func (s Step) checkWaiting() error {
	switch {
	case s.After < 0 || s.Within < 0 || s.After > longest || s.Within > longest:
		return fmt.Errorf("after %s, within %s: want at most %s of each", s.After, s.Within, longest)
	case s.When.IsZero() && s.After != 0:
		return errors.New("after decides nothing without when; leave it out")
	case s.Within != 0 && !s.waits():
		return errors.New("within decides nothing: the step waits for nothing; leave it out")
	case s.When.Event == OpenOperations && s.After != 0:
		return errors.New("after is not for open-operations, which are counted when the step begins")
	}
	return nil
}

func checkTarget(f Kind, t topologies.Topology, s Step) error {
	choices := strings.Join(f.Targets, ", ") + ", or a list of node names"
	switch word := s.Target.Word; {
	case s.Target.IsZero():
		return fmt.Errorf("target is missing; %s takes %s", f.Name, choices)
	case s.Target.Between != nil && (word != "" || s.Target.Names != nil):
		return errors.New("between stands in place of target; leave one of them out")
	case s.Target.Between != nil:
		return checkBetween(f, s.Target.Between)
	case word == "":
		return checkNames(t, s.Target.Names)
	case slices.Contains(f.Targets, word):
		return nil
	case slices.Contains(words, word):
		return fmt.Errorf("%s does not take target %s; it takes %s", f.Name, word, choices)
	default:
		if _, isNode := t.Node(word); isNode {
			return fmt.Errorf("a node as target is written as a list: [%s]", word)
		}
		return fmt.Errorf("no target %q; %s takes %s", word, f.Name, choices)
	}
}

func checkNames(t topologies.Topology, names []string) error {
	for i, name := range names {
		if _, ok := t.Node(name); !ok {
			return fmt.Errorf("no node %s in %s; there are %s", name, t.Name,
				strings.Join(namesWhere(t, func(string) bool { return true }), ", "))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("node %s stands twice in the target", name)
		}
	}
	return nil
}

func checkDraw(f Kind, s Step) error {
	if s.Draw != 0 && !f.Seeded && s.Target.Word != Follower && !slices.Contains(f.Drawn, s.Target.Word) {
		return fmt.Errorf("draw decides nothing for %s with target %s; leave it out", f.Name, s.Target)
	}
	return nil
}

func orNone[T ~string](list []T) string {
	if len(list) == 0 {
		return "none"
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

func oneLine(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// CheckAbilities refuses a schedule that asks for more than the system can do.
func (s Schedule) CheckAbilities(system string, can func(history.Ability) bool) error {
	for _, step := range s.Steps {
		kind := step.Fault.Kind()
		asks := slices.Clone(kind.Asks)
		if kind.NeedsLeader || step.aims() || step.When.Event == LeaderElected || step.When.Event == LeaderLost {
			asks = append(asks, history.ObservesLeaders)
		}
		if step.withDefaults().Target.Word == Lagging {
			asks = append(asks, history.ObservesLogs)
		}
		if step.When.Event == ConfigChange {
			asks = append(asks, history.ChangesMembers)
		}
		for _, a := range asks {
			if !can(a) {
				return fmt.Errorf("%s%s asks the system for %q (%s), which %s cannot do", s.position(step), step.Label(), a, a.Doc(), system)
			}
		}
	}
	return nil
}

package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"faultline/workloads/history"
)

// Append is the checker of the workload append.
func Append() Checker {
	return Checker{
		Name: "append",
		Doc: "A list only grows, by elements that clients append: none appears twice, none that nobody appended or whose append certainly failed, " +
			"and none is lost or moved once anybody saw it or was answered that it is there.",
		Check: checkAppend, Prefix: true,
	}
}

// listState is a list as an answer shows it: the state of its key at an instant of the operation.
type listState struct {
	op   *history.Operation
	list []int64
}

// checkAppend judges lists to which clients append unique elements by compare-and-set. A value of
// the history is a list of integers, and a compare-and-set is [old,new], where new is old and
// one element more; null is the list that is not there yet.
//
// Every state of a list that an answer shows is a version of it, and versions are prefixes of each
// other, so the length of a list says which version it is. A register with such values is
// linearizable if and only if
//
//	each state is made of elements that somebody had asked to append by then, each once, to just that list,
//	any two states are prefixes of one another, and
//	no state is shorter than one that was answered before its operation began.
//
// For then the operations take effect in the order of their versions, and of their invokes within one.
// It is what Elle infers from list-append (Kingsbury and Alvaro, "Elle", VLDB 2020), for single keys and in real
// time, and costs n log n. Stale reads promise no real time and are left out of the last rule, unless the run asked for that mode.
func checkAppend(_ context.Context, run *Run) Result {
	byKey := map[string][]*history.Operation{}
	for i := range run.Ops {
		byKey[run.Ops[i].Key] = append(byKey[run.Ops[i].Key], &run.Ops[i])
	}
	r := Result{Verdict: Valid}
	states, elements := 0, 0
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		l := appendedList{mode: run.Settings.Mode, ops: byKey[key], asked: map[int64]listState{}}
		if err := l.read(); err != nil {
			return Result{Verdict: Unknown, Summary: fmt.Sprintf("the history does not fit lists: key %s: %v", key, err)}
		}
		states, elements = states+len(l.states), elements+len(l.asked)
		if why, ops := l.contradiction(); why != "" {
			r.Verdict = Invalid
			r.Reasons = append(r.Reasons, fmt.Sprintf("key %s: %s", key, why))
			r.Counterexamples = append(r.Counterexamples, counterexampleOf(key, why, ops, len(l.ops)))
		}
	}
	r.Metrics = []Metric{{Name: "lists", Value: float64(len(byKey))}, {Name: "states of lists", Value: float64(states)},
		{Name: "elements", Value: float64(elements)}}
	switch {
	case r.Verdict == Invalid:
		r.Summary = r.Reasons[0]
		r.Reasons = capped(r.Reasons)
		r.Counterexamples = r.Counterexamples[:min(len(r.Counterexamples), maxCounterexamples)]
	case states == 0:
		r.Verdict, r.Summary = Unknown, "no operation saw a list, so nothing was tested"
	default:
		r.Summary = fmt.Sprintf("%d states of %s are versions of %s that only grew", states, plural(elements, "element"), plural(len(byKey), "list"))
	}
	return r
}

// appendedList is what became of one key.
type appendedList struct {
	mode   history.Mode // of the run
	ops    []*history.Operation
	asked  map[int64]listState // by element, who asked to append it, and to make the list what
	states []listState
}

// read takes the operations apart. Elements are unique, which the workload sees to.
func (l *appendedList) read() error {
	for _, op := range l.ops {
		switch op.F {
		case history.OpCAS:
			var pair [2][]int64
			if err := json.Unmarshal(op.Input, &pair); err != nil {
				return fmt.Errorf("operation %d: %s is not the [old,new] of lists", op.ID, excerpt(op.Input))
			}
			old, list := pair[0], pair[1]
			if len(list) != len(old)+1 || !isPrefix(old, list) {
				return fmt.Errorf("operation %d: %s appends not one element", op.ID, excerpt(op.Input))
			}
			element := list[len(old)]
			if other := l.asked[element].op; other != nil {
				return fmt.Errorf("operations %d and %d both append %d", other.ID, op.ID, element)
			}
			l.asked[element] = listState{op, list}
			if op.Type == history.OK {
				l.states = append(l.states, listState{op, list})
			}
			if err := l.saw(op, op.Current); err != nil {
				return err
			}
		case history.OpRead:
			if op.Type == history.OK {
				if err := l.saw(op, op.Output); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("operation %d: a list has no %q", op.ID, op.F)
		}
	}
	return nil
}

// saw adds what an operation found.
func (l *appendedList) saw(op *history.Operation, value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	var list []int64
	if err := json.Unmarshal(value, &list); err != nil {
		return fmt.Errorf("operation %d found %s, which is no list", op.ID, excerpt(value))
	}
	l.states = append(l.states, listState{op, list})
	return nil
}

// contradiction returns why no list can have had these states, and the operations that show it.
func (l *appendedList) contradiction() (why string, ops []*history.Operation) {
	for _, s := range l.states {
		if why, ops := l.strange(s); why != "" {
			return why, ops
		}
	}
	byLength := slices.Clone(l.states)
	slices.SortStableFunc(byLength, func(a, b listState) int { return cmp.Compare(len(a.list), len(b.list)) })
	for i := 1; i < len(byLength); i++ {
		a, b := byLength[i-1], byLength[i]
		if !isPrefix(a.list, b.list) {
			at := 0
			for a.list[at] == b.list[at] {
				at++
			}
			return fmt.Sprintf("%s had %d at place %d, and %s had %d there: an element was lost, or elements changed places",
				describeAnswer(a), a.list[at], at+1, describeAnswer(b), b.list[at]), []*history.Operation{a.op, b.op}
		}
	}
	return l.shrunk()
}

// strange returns what is wrong with one state by itself.
func (l *appendedList) strange(s listState) (why string, ops []*history.Operation) {
	seen := map[int64]bool{}
	for i, e := range s.list {
		asked := l.asked[e]
		by := asked.op
		switch {
		case seen[e]:
			return fmt.Sprintf("%s had the element %d twice", describeAnswer(s), e), []*history.Operation{s.op}
		case by == nil:
			return fmt.Sprintf("%s had the element %d, which nobody asked to append there", describeAnswer(s), e), []*history.Operation{s.op}
		case by.Type == history.Fail:
			return fmt.Sprintf("%s had the element %d, whose append had certainly failed (%s)", describeAnswer(s), e, by.Error), []*history.Operation{by, s.op}
		case by.Invoke > s.op.Return:
			return fmt.Sprintf("%s had the element %d, which was only asked for at %s", describeAnswer(s), e, clock(by.Invoke)), []*history.Operation{s.op, by}
		case len(asked.list) != i+1 || i+1 == len(s.list) && !slices.Equal(asked.list, s.list):
			// Of an element within, whoever appended the next one had seen the list up to it, which is a state itself.
			return fmt.Sprintf("%s had the element %d at place %d, after others than those it was appended to", describeAnswer(s), e, i+1), []*history.Operation{by, s.op}
		}
		seen[e] = true
	}
	return "", nil
}

// shrunk finds a state that is shorter than one that was answered before it was asked for.
func (l *appendedList) shrunk() (why string, ops []*history.Operation) {
	var asked []listState
	for _, s := range l.states {
		if s.op.F != history.OpRead || s.op.Mode != history.ModeStale || l.mode == history.ModeStale {
			asked = append(asked, s)
		}
	}
	answered := slices.Clone(asked)
	slices.SortFunc(asked, func(a, b listState) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	slices.SortFunc(answered, func(a, b listState) int { return cmp.Compare(a.op.Return, b.op.Return) })
	var longest listState
	for _, s := range asked {
		for len(answered) > 0 && answered[0].op.Return < s.op.Invoke {
			if longest.op == nil || len(answered[0].list) > len(longest.list) {
				longest = answered[0]
			}
			answered = answered[1:]
		}
		if longest.op != nil && len(s.list) < len(longest.list) {
			return fmt.Sprintf("%s had %s, and %s, asked for later, only %d: what was there is gone, or old",
				describeAnswer(longest), plural(len(longest.list), "element"), describeAnswer(s), len(s.list)), []*history.Operation{longest.op, s.op}
		}
	}
	return "", nil
}

func describeAnswer(s listState) string {
	return fmt.Sprintf("the answer of %s to a %s at %s", s.op.Node, s.op.F, clock(s.op.Return))
}

func isPrefix(a, b []int64) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }

// counterexampleOf is the operations that show a contradiction, by invoke.
func counterexampleOf(key, why string, ops []*history.Operation, of int) Counterexample {
	c := Counterexample{Key: key, Why: why, Of: of}
	for _, op := range ops {
		c.Ops = append(c.Ops, *op)
	}
	slices.SortFunc(c.Ops, func(a, b history.Operation) int { return cmp.Compare(a.Invoke, b.Invoke) })
	return c
}

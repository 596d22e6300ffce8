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
	return PerDatacenter(Checker{
		Name: "append",
		Doc: "A list only grows, by elements that clients append: none appears twice, none that nobody appended or whose append certainly failed, " +
			"and none is lost or moved once anybody saw it or was answered that it is there.",
		Check: checkAppend, Prefix: true,
	})
}

// listState is a list as an answer shows it: the state of its key at an instant of the operation.
type listState struct {
	op   *history.Operation
	list []int64
}

// checkAppend judges lists to which clients append unique elements by compare-and-set, or by an append of the system's
// own. A value of the history is a list of integers, a compare-and-set is [old,new], where new is old and
// one element more, and an append the element alone, whatever the list is; null is the list that is not there yet.
//
// Every state of a list that an answer shows is a version of it, and versions are prefixes of each
// other, so the length of a list says which version it is. A register with such values is
// linearizable if and only if
//
//	each state is made of elements that somebody had asked to append by then, each once, to just that list,
//	any two states are prefixes of one another, and
//	no state is shorter than one that was answered before its operation began.
//
// The state that an append made shows in no answer of its own, but in the place of its element in the longest
// list; of one that was acknowledged and stands in none, it is longer than all of them. For then the operations take effect in the order of their versions, and of their invokes within one.
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
	blind  []askedElement // what appends were asked for
	unsure []askedElement // what compare-and-sets of unknown fate were
}

// askedElement is an element whose operation had no answer that showed a list.
type askedElement struct {
	op      *history.Operation
	element int64
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
			switch op.Type {
			case history.OK:
				l.states = append(l.states, listState{op, list})
			case history.Info:
				l.unsure = append(l.unsure, askedElement{op, element})
			}
			if err := l.saw(op, op.Current); err != nil {
				return err
			}
		case history.OpAppend:
			element, err := history.AsInt(op.Input)
			if err != nil || element == nil {
				return fmt.Errorf("operation %d: %s is no element of a list", op.ID, excerpt(op.Input))
			}
			if other := l.asked[*element].op; other != nil {
				return fmt.Errorf("operations %d and %d both append %d", other.ID, op.ID, *element)
			}
			l.asked[*element] = listState{op: op}
			l.blind = append(l.blind, askedElement{op, *element})
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
		case by.F == history.OpAppend:
		case len(asked.list) != i+1 || (i+1 == len(s.list) || l.unseen(s.list[i+1])) && !slices.Equal(asked.list, s.list[:i+1]):
			// Of an element within, whoever set the list to have the next one had seen the list up to it, which is a state itself.
			return fmt.Sprintf("%s had the element %d at place %d, after others than those it was appended to", describeAnswer(s), e, i+1), []*history.Operation{by, s.op}
		}
		seen[e] = true
	}
	return "", nil
}

// unseen reports whether an element was appended by somebody who need not have seen the list.
func (l *appendedList) unseen(element int64) bool {
	by := l.asked[element].op
	return by == nil || by.F == history.OpAppend
}

// listVersion is a state that an operation saw or made, by the length of the list.
type listVersion struct {
	op     *history.Operation
	length int
	why    string // it has that length
}

// versions are those of all operations that promise real time.
func (l *appendedList) versions() (all []listVersion) {
	var longest []int64
	for _, s := range l.states {
		if len(s.list) > len(longest) {
			longest = s.list
		}
		if s.op.F != history.OpRead || s.op.Mode != history.ModeStale || l.mode == history.ModeStale {
			all = append(all, listVersion{s.op, len(s.list), fmt.Sprintf("%s had %s", describeAnswer(s), plural(len(s.list), "element"))})
		}
	}
	place := map[int64]int{}
	for i, e := range longest {
		place[e] = i + 1
	}
	rest := l.blind
	if len(rest) > 0 { // without them, whoever set a list to have an element had seen all before it
		rest = slices.Concat(rest, l.unsure)
	}
	for _, a := range rest {
		switch at := place[a.element]; {
		case at > 0:
			all = append(all, listVersion{a.op, at, fmt.Sprintf("%d, asked for at %s, was appended as element %d", a.element, clock(a.op.Invoke), at)})
		case a.op.Type == history.OK:
			all = append(all, listVersion{a.op, len(longest) + 1, fmt.Sprintf("%s acknowledged at %s that %d was appended, which no answer ever showed", a.op.Node, clock(a.op.Return), a.element)})
		}
	}
	return all
}

// shrunk finds a state that is shorter than one that was answered before it was asked for.
func (l *appendedList) shrunk() (why string, ops []*history.Operation) {
	asked := l.versions()
	answered := slices.Clone(asked)
	slices.SortFunc(asked, func(a, b listVersion) int { return cmp.Compare(a.op.Invoke, b.op.Invoke) })
	slices.SortFunc(answered, func(a, b listVersion) int { return cmp.Compare(a.op.Return, b.op.Return) })
	var longest listVersion
	for _, s := range asked {
		for len(answered) > 0 && answered[0].op.Return < s.op.Invoke {
			if longest.op == nil || answered[0].length > longest.length {
				longest = answered[0]
			}
			answered = answered[1:]
		}
		switch {
		case longest.op == nil || s.length >= longest.length:
		case longest.op.F == history.OpAppend || s.op.F == history.OpAppend:
			return fmt.Sprintf("%s; but %s, and was asked for later", longest.why, s.why), []*history.Operation{longest.op, s.op}
		default:
			return fmt.Sprintf("%s, and %s, asked for later, only %d: what was there is gone, or old",
				longest.why, describeAnswer(listState{op: s.op}), s.length), []*history.Operation{longest.op, s.op}
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

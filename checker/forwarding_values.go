package checker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// keyValue is a value as it stands in a key, or an element of the list there. It is plain JSON.
type keyValue struct{ key, value string }

// writers are those who asked for a value.
type writers struct {
	ops     []*history.Operation
	dcs     []string // that they meant, of each
	certain bool     // each had ended with a definite error
}

// misplaced finds values where nobody can have put them: workloads write each once, in one datacenter, to a key of a name that
// others have too.
//
//	dc1   write k 1 ok
//	dc2                     read k 1     it took effect in dc2, which was not meant
func misplaced(run *Run) (found []Counterexample) {
	asked := map[keyValue]*writers{}
	for i := range run.Ops {
		op := &run.Ops[i]
		value, ok := askedFor(op)
		if !ok {
			continue
		}
		at := keyValue{op.Key, value}
		w := asked[at]
		if w == nil {
			w = &writers{certain: true}
			asked[at] = w
		}
		w.ops, w.dcs = append(w.ops, op), append(w.dcs, meantBy(run.Topology, op))
		w.certain = w.certain && op.Type == history.Fail && op.F != history.OpAcquire // whose value is its session's, again and again
	}
	said := map[[3]string]bool{}
	look := func(dc string, at keyValue, seen *history.Operation) {
		w := asked[at]
		if w == nil || !w.certain && slices.Contains(w.dcs, dc) || said[[3]string{dc, at.key, at.value}] {
			return
		}
		why, where := "", fmt.Sprintf("a %s of %s, answered at %s,", seen.F, seen.Node, clock(seen.Return))
		switch by := w.ops[0]; {
		case !slices.Contains(w.dcs, dc):
			why = fmt.Sprintf("%s found %s in key %s of %s, where nobody asked for it: a %s of %s at %s was meant for %s",
				where, at.value, at.key, dc, by.F, by.Node, clock(by.Invoke), w.dcs[0])
		default:
			why = fmt.Sprintf("%s found %s in key %s of %s, though the %s of it that was asked of %s at %s, meant for %s, had certainly failed (%s)",
				where, at.value, at.key, dc, by.F, by.Node, clock(by.Invoke), w.dcs[0], by.Error)
		}
		said[[3]string{dc, at.key, at.value}] = true
		found = append(found, evidence(dc, why, w.ops[0], seen))
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		dc := meantBy(run.Topology, op)
		for _, at := range foundBy(op) {
			look(dc, at, op)
		}
	}
	of := run.Topology.DatacenterOf()
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FCopy || e.Error != "" {
			continue
		}
		seen := &history.Operation{ID: e.Index, Process: e.Process, F: e.F, Key: e.Key, Output: e.Value, Node: e.Node, Mode: e.Mode, Invoke: e.Time, Return: e.Time, Type: history.OK}
		for _, at := range valuesIn(e.Key, e.Value) {
			look(of[e.Node], at, seen)
		}
	}
	return found
}

// askedFor is the value that an operation asks to have in its key.
func askedFor(op *history.Operation) (value string, ok bool) {
	recorded := op.Input
	switch op.F {
	case history.OpWrite, history.OpAppend, history.OpAcquire:
	case history.OpCAS:
		var pair [2]json.RawMessage
		if err := json.Unmarshal(recorded, &pair); err != nil {
			return "", false
		}
		recorded = pair[1]
		var list []json.RawMessage
		if len(recorded) > 0 && recorded[0] == '[' && json.Unmarshal(recorded, &list) == nil {
			if len(list) == 0 {
				return "", false
			}
			recorded = list[len(list)-1] // the others it has seen there
		}
	default:
		return "", false
	}
	return string(recorded), isScalar(recorded)
}

// isScalar reports whether a recorded value is one that tells something: a number or a text that is not empty.
func isScalar(v json.RawMessage) bool {
	return len(v) > 0 && string(v) != `""` && string(v) != "null" && v[0] != '[' && v[0] != '{'
}

// foundBy is what an answer says is there.
func foundBy(op *history.Operation) []keyValue {
	switch {
	case op.Type == history.OK && op.F.Reads():
		return valuesIn(op.Key, op.Output)
	case op.Type == history.Fail && len(op.Current) > 0:
		return valuesIn(op.Key, op.Current)
	}
	return nil
}

// valuesIn are the values of what is recorded of a key: a value, a list of them, an entry, or a listing of entries.
func valuesIn(key string, recorded json.RawMessage) (all []keyValue) {
	switch {
	case len(recorded) == 0:
	case recorded[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(recorded, &list); err != nil {
			return nil
		}
		for _, e := range list {
			if isScalar(e) {
				all = append(all, keyValue{key, string(e)})
			}
		}
	case recorded[0] == '{':
		var entry struct {
			Value   json.RawMessage
			Session string
			Entries []struct {
				Key   string
				Value json.RawMessage
			}
		}
		if err := json.Unmarshal(recorded, &entry); err != nil {
			return nil
		}
		all = append(all, valuesIn(key, entry.Value)...)
		if entry.Session != "" {
			holder, err := json.Marshal(entry.Session)
			if err == nil {
				all = append(all, keyValue{key, string(holder)})
			}
		}
		for _, e := range entry.Entries {
			all = append(all, valuesIn(cmp.Or(e.Key, key), e.Value)...)
		}
	case isScalar(recorded):
		all = append(all, keyValue{key, string(recorded)})
	}
	return all
}

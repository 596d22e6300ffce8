package checker

import (
	"encoding/json"
	"fmt"

	"faultline/workloads/history"
)

// foreignWrites finds the keys of the workload register in which a client found what no client
// of the run ever asked to write: a text, or an integer that is in no request, whatever its
// outcome. Somebody else wrote there, so nothing can be concluded from such a key, by any
// checker; the other keys are judged as usual. It returns a sentence by key.
func foreignWrites(run *Run) map[string]string {
	found := map[string]string{}
	if run.Settings.Workload != "register" {
		return found
	}
	wrote := make(map[int64]bool, len(run.Ops)/2)
	for i := range run.Ops {
		op := &run.Ops[i]
		switch op.F {
		case history.OpWrite:
			if n, err := history.AsInt(op.Input); err == nil && n != nil {
				wrote[*n] = true
			}
		case history.OpCAS:
			if _, n, err := history.AsPair(op.Input); err == nil {
				wrote[n] = true
			}
		}
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		var seen json.RawMessage
		switch {
		case op.F == history.OpRead && op.Type == history.OK:
			seen = op.Output
		case compares(op.F) && op.Error == history.CASMismatch:
			seen = op.Current
		}
		if len(seen) == 0 || found[op.Key] != "" {
			continue
		}
		n, err := history.AsInt(seen)
		if err == nil && (n == nil || wrote[*n]) {
			continue
		}
		found[op.Key] = fmt.Sprintf("somebody else wrote here: at %s a %s of %s found %s, which no client of this run asked to write",
			clock(op.Return), op.F, op.Node, excerpt(seen))
	}
	return found
}

// excerpt is enough of a value to recognize it.
func excerpt(v json.RawMessage) string {
	const most = 60
	if len(v) > most {
		return string(v[:most]) + "…"
	}
	return string(v)
}

package checker

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"faultline/workloads/history"
)

// served reports whether the system served the operation: it took effect, or its condition
// did not hold, which is an answer too.
func served(op *history.Operation) bool {
	return op.Type == history.OK || op.Type == history.Fail &&
		(op.Error == history.CASMismatch || op.Error == history.LockHeld || op.Error == history.NoSession)
}

// changes reports whether only a leader can serve operations of this f.
func changes(f history.Op) bool { return !f.Reads() }

// Recovery is how long after the heal of a fault an operation that needs a leader (a write, a
// compare-and-set, or one of locks and sessions) succeeded again. One that was sent before the
// heal was done does not count.
type Recovery struct {
	Step      int           // of the fault in the schedule, from 0
	After     time.Duration // from the end of the heal to the answer; 0 if Recovered is false
	Recovered bool          // false: no such operation succeeded in the rest of the run
}

// Recoveries returns the recovery after every fault that was healed, in the order of run.Faults.
// Faults that were never healed are left out.
func Recoveries(run *Run) []Recovery {
	var all []Recovery
	for _, f := range run.Faults {
		if f.Healed == history.Pending {
			continue
		}
		r := Recovery{Step: f.Step}
		if at, ok := firstOK(run.Ops, f.Healed, changes); ok {
			r.After, r.Recovered = time.Duration(at-f.Healed), true
		}
		all = append(all, r)
	}
	return all
}

// firstOK is the earliest answer of a successful operation asked for at or after from.
func firstOK(ops []history.Operation, from int64, of func(f history.Op) bool) (at int64, ok bool) {
	i, _ := slices.BinarySearchFunc(ops, from, func(op history.Operation, t int64) int {
		if op.Invoke < t {
			return -1
		}
		return 1
	})
	at = history.Pending
	for ; i < len(ops) && ops[i].Invoke <= at; i++ {
		if op := &ops[i]; op.Type == history.OK && of(op.F) && op.Return < at {
			at, ok = op.Return, true
		}
	}
	return at, ok
}

func runEnd(run *Run) int64 {
	if len(run.Events) == 0 {
		return 0
	}
	return run.Events[len(run.Events)-1].Time
}

// clientsEnd is the time of the last event of a client. What follows it, if anything, is the observer's.
func clientsEnd(run *Run) int64 {
	for _, e := range slices.Backward(run.Events) {
		if e.Process >= 0 {
			return e.Time
		}
	}
	return 0
}

// quantile is the nearest-rank quantile of sorted spans: the smallest of which at least
// the share q is not above it.
func quantile(sorted []int64, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return time.Duration(sorted[min(max(rank, 1), len(sorted))-1])
}

// phaseSpan is a phase and when it was.
type phaseSpan struct {
	name     history.Phase
	from, to int64
}

// phases lists the phases of a run in their order; the end is none.
func phases(run *Run) (spans []phaseSpan, ended, interrupted bool, err error) {
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Harness || e.F != history.FPhase {
			continue
		}
		var p history.Phase
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return nil, false, false, fmt.Errorf("event %d: a phase that cannot be read: %w", e.Index, err)
		}
		if n := len(spans); n > 0 && !ended {
			spans[n-1].to = e.Time
		}
		switch p {
		case history.PhaseEnd:
			ended = true
			continue
		case history.PhaseInterrupt, history.PhaseFound:
			interrupted = true
		}
		spans = append(spans, phaseSpan{p, e.Time, runEnd(run)})
	}
	return spans, ended, interrupted, nil
}

const cutOff = "the history was cut off before the end of the run"

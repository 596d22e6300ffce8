package checker

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"faultline/workloads/history"
)

// answered tells whether the system served the operation: it took effect, or its condition
// did not hold, which is an answer too.
func answered(op *history.Operation) bool {
	return op.Type == history.OK || op.Type == history.Fail &&
		(op.Error == history.CASMismatch || op.Error == history.LockHeld || op.Error == history.NoSession)
}

// changes tells whether an operation of this f is one that only a leader can serve.
func changes(f history.Op) bool { return f != history.OpRead }

// Recovery is how long after the heal of a fault a write or compare-and-set succeeded
// again. One that was asked for before the heal was done does not count.
type Recovery struct {
	Step      int
	After     time.Duration // from the end of the heal to the answer
	Recovered bool
}

// Recoveries lists the recovery of every fault that was healed, in their order.
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

// Bucket is what clients saw in one stretch of a run.
type Bucket struct {
	At       time.Duration // when it begins
	OK       int           // answers, those of compare-and-sets whose compare failed included
	Fail     int           // definite failures
	Info     int           // operations asked for in it of which nobody knows whether they happened
	P50, P99 time.Duration // of the OK, 0 if there are none
}

// mostBuckets bounds what Buckets makes of a run whose last time is absurd; a run of seven
// days, the longest, fits at a width of ten seconds.
const mostBuckets = 100_000

// Buckets cuts a run into stretches of equal width, from its start to its last event. The
// width is the wanted one, or as much more as keeps them at 100,000 or fewer. An
// operation belongs to the bucket of its answer; one without, to that of its request.
func Buckets(run *Run, width time.Duration) []Bucket {
	if width <= 0 || len(run.Events) == 0 {
		return nil
	}
	end := runEnd(run)
	width = max(width, time.Duration(end/mostBuckets+1))
	all := make([]Bucket, end/int64(width)+1)
	spans := make([][]int64, len(all))
	for i := range all {
		all[i].At = time.Duration(i) * width
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Return == history.Pending {
			all[op.Invoke/int64(width)].Info++
			continue
		}
		at := op.Return / int64(width)
		if !answered(op) {
			all[at].Fail++
			continue
		}
		all[at].OK++
		spans[at] = append(spans[at], op.Return-op.Invoke)
	}
	for i := range all {
		slices.Sort(spans[i])
		all[i].P50, all[i].P99 = quantile(spans[i], 0.50), quantile(spans[i], 0.99)
	}
	return all
}

func runEnd(run *Run) int64 {
	if len(run.Events) == 0 {
		return 0
	}
	return run.Events[len(run.Events)-1].Time
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
		case history.PhaseInterrupt:
			interrupted = true
		}
		spans = append(spans, phaseSpan{p, e.Time, runEnd(run)})
	}
	return spans, ended, interrupted, nil
}

const cutOff = "the history was cut off before the end of the run"

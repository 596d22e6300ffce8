package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"faultline/workloads/history"
)

// leastWoken is how many watches must have seen a change for a verdict of valid.
const leastWoken = 10

// Watch is the checker of the workload watch.
func Watch() Checker {
	return PerDatacenter(Checker{
		Name: "watch",
		Doc: "A watch skips no change for good and its index never goes back; what it shows was there, and is no older than what was answered before it was sent; " +
			"it wakes when its key changes, and waits while nothing does.",
		Check: checkWatch,
	})
}

// checkWatch judges blocking queries, and the plain reads of the same keys. What Consul documents of them
// (https://developer.hashicorp.com/consul/api-docs/features/blocking) comes to this, with the index of an answer as the index
// that a client goes on from:
//
//   - The state that an answer shows is that of its index: no change of the key lies between the change that it
//     shows and its index. Else whoever goes on from there never learns of that change:
//
//     write 7 -> index 20
//     watch -> value 6 of index 10, go on from 25      invalid: nobody who goes on from 25 is told of 7
//
//   - The index goes back only where data does: when an operator restores an older snapshot, which no run does.
//     (Consul's clients must reset an index that does; of listings it may where the newest key is deleted.)
//
//   - A watch returns when its key changes, or when its wait is over, to which servers add up to a sixteenth. It may
//     return without a change; see wakes for what is judged of either.
//
// Intermediate changes may be left out: an answer shows the newest state, not each. etcd's watches promise
// the same and more (ordered, unique, resumable: https://etcd.io/docs/latest/learning/api_guarantees).
//
// And an answer is a read: it shows a value that somebody asked to write there, and unless it was allowed to be stale,
// nothing older than what was answered before it was asked for.
func checkWatch(_ context.Context, run *Run) Result {
	keys, err := readWatches(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: "the history does not fit watches: " + err.Error()}
	}
	r := Result{Verdict: Valid}
	var foreign []string
	views := 0
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		k := keys[key]
		views += len(k.views)
		if k.foreign != "" {
			foreign = append(foreign, fmt.Sprintf("key %s: %s", key, k.foreign))
			continue
		}
		if why, ops := k.contradiction(); why != "" {
			r.add(key, why, ops, k.ops)
		}
	}
	w := wakesOf(run, keys)
	for _, broken := range w.broken {
		r.add(broken.key, broken.why, broken.ops, keys[broken.key].ops)
	}
	r.Metrics = append([]Metric{{Name: "states seen", Value: float64(views)}}, w.metrics()...)
	switch {
	case r.Verdict == Invalid:
		r.Summary, r.Reasons = r.Reasons[0], capped(append(r.Reasons, foreign...))
		r.Counterexamples = r.Counterexamples[:min(len(r.Counterexamples), maxCounterexamples)]
	case len(foreign) > 0:
		r.Verdict, r.Summary, r.Reasons = Unknown, foreign[0], capped(foreign)
	case w.woken < leastWoken:
		r.Verdict, r.Summary = Unknown, fmt.Sprintf("watches that saw a change: %d; fewer than %d are not enough", w.woken, leastWoken)
	default:
		r.Summary = fmt.Sprintf("%d watches saw changes, %d waited for none in vain; no change was skipped, and no index went back", w.woken, w.slept)
	}
	return r
}

// add takes in a contradiction about a key.
func (r *Result) add(key, why string, ops []*history.Operation, of int) {
	r.Verdict = Invalid
	r.Reasons = append(r.Reasons, fmt.Sprintf("key %s: %s", key, why))
	r.Counterexamples = append(r.Counterexamples, counterexampleOf(key, why, ops, of))
}

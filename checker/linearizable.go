package checker

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"faultline/workloads/history"
)

const (
	maxPictures        = 5
	maxCounterexamples = 10
	// timeForSearch is the part of the budget for verdicts; the rest is for explaining them.
	timeForSearch = 0.75
	minKeyTime    = time.Second // what every key gets, while there is any time
)

// keyJob is one key and its answer.
type keyJob struct {
	key         string
	ops         []*history.Operation // all of the key
	constraints []constraint         // what is judged
	answer      answer
	why         string // why it is undecided
	barred      bool   // it is not judged: somebody else wrote there, or an operation fits no register
}

// leftOut counts operations that say nothing about the register.
type leftOut struct{ failed, blank, stale int }

// Linearizable is the checker of the workload register.
func Linearizable() Checker {
	return PerDatacenter(Checker{
		Name: "linearizable",
		Doc: "Every key behaves as one register: each operation takes effect at one instant between its request and its answer. " +
			"The search has a budget: valid and invalid never depend on it, unknown may.",
		Check: checkLinearizable, Prefix: true,
	})
}

// checkLinearizable judges every key of the register workload by itself, which is the
// same as judging all at once (Herlihy and Wing, "Linearizability", 1990, theorem 1).
//
// Reads in mode stale promise nothing and are left out, unless the run asked for that
// mode: then it asks whether they are fresh all the same, and they are judged like any.
// A key in which somebody else wrote is undecided (foreignWrites).
//
// It searches within a [Budget] of wall time and memory: the time until ctx ends, and
// Settings.CheckMemoryMB.
func checkLinearizable(ctx context.Context, run *Run) Result {
	meter := newMeter(ctx, run.Settings.CheckMemoryMB)
	jobs, left := keyJobs(run)
	if !tested(jobs) {
		return Result{Verdict: Unknown, Summary: "no operation saw a value, so nothing was tested",
			Metrics: linearizableMetrics(jobs, left)}
	}
	memory := newMemory(meter.MemoryMB, min(meter.Cores, len(jobs)))
	judgeKeys(ctx, jobs, memory)
	r := conclude(ctx, run, jobs, memory)
	r.Metrics, r.Budget = linearizableMetrics(jobs, left), meter.read(memory)
	r.Budget.Exhausted = slices.ContainsFunc(jobs, func(j *keyJob) bool { return j.answer == undecided && !j.barred })
	return r
}

// tested reports whether any operation saw a value, or a key is undecided for another reason.
func tested(jobs []*keyJob) bool {
	for _, j := range jobs {
		if j.barred || slices.ContainsFunc(j.constraints, func(f constraint) bool { return f.read != readNothing && !f.maybe }) {
			return true
		}
	}
	return false
}

// conclude makes one result of the answers about all keys, and explains those that are illegal.
func conclude(ctx context.Context, run *Run, jobs []*keyJob, memory *memory) (r Result) {
	var bad, open []*keyJob
	for _, j := range jobs {
		switch j.answer {
		case illegal:
			bad = append(bad, j)
		case undecided:
			open = append(open, j)
			r.Reasons = append(r.Reasons, fmt.Sprintf("key %s: %s", j.key, j.why))
		}
	}
	switch {
	case len(bad) > 0:
		r.Verdict = Invalid
		var reasons []string
		r.Counterexamples, reasons = counterexamples(ctx, run, bad, memory)
		r.Summary = fmt.Sprintf("%d of %d keys not linearizable: %s", len(bad), len(jobs), reasons[0])
		r.Reasons = append(reasons, r.Reasons...)
	case len(open) > 0:
		r.Verdict = Unknown
		r.Summary = fmt.Sprintf("%d of %d keys undecided: %s", len(open), len(jobs), r.Reasons[0])
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("all %d keys linearizable (%d operations)", len(jobs), judged(jobs))
	}
	return r
}

// keyJobs splits the operations by key, in the order of the keys' first operations. A key with an
// operation that fits no register is barred.
func keyJobs(run *Run) ([]*keyJob, leftOut) {
	var left leftOut
	jobs, of := jobsByKey(run.Ops)
	strange := foreignWrites(run)
	for _, j := range jobs {
		if why := strange[j.key]; why != "" {
			j.bar(why)
		}
	}
	for i := range run.Ops {
		op, j := &run.Ops[i], jobs[of[i]]
		j.ops = append(j.ops, op)
		if j.barred {
			continue
		}
		if op.F == history.OpRead && op.Mode == history.ModeStale && run.Settings.Mode != history.ModeStale {
			left.stale++
			continue
		}
		f, keep, err := toConstraint(op)
		switch {
		case err != nil:
			j.bar("the history does not fit the register: " + err.Error())
		case keep:
			j.constraints = append(j.constraints, f)
		case op.Type == history.Info:
			left.blank++
		default:
			left.failed++
		}
	}
	return jobs, left
}

// jobsByKey makes a job for every key, with room for its operations, and says of which each is.
func jobsByKey(ops []history.Operation) (jobs []*keyJob, of []int32) {
	byKey := map[string]int32{}
	of = make([]int32, len(ops))
	var sizes []int
	for i := range ops {
		at, ok := byKey[ops[i].Key]
		if !ok {
			at = int32(len(jobs))
			byKey[ops[i].Key] = at
			jobs, sizes = append(jobs, &keyJob{key: ops[i].Key}), append(sizes, 0)
		}
		of[i] = at
		sizes[at]++
	}
	for i, j := range jobs {
		j.ops, j.constraints = make([]*history.Operation, 0, sizes[i]), make([]constraint, 0, sizes[i])
	}
	return jobs, of
}

func (j *keyJob) bar(why string) {
	j.barred, j.answer, j.why, j.constraints = true, undecided, why, nil
}

func judged(jobs []*keyJob) (n int) {
	for _, j := range jobs {
		n += len(j.constraints)
	}
	return n
}

// judgeKeys decides every key, as many at a time as there are processors; Porcupine by
// itself would begin with all of them at once. Small keys go first, and each may use
// its even share of the time that is left, so that one hard key cannot starve the rest.
func judgeKeys(ctx context.Context, jobs []*keyJob, memory *memory) {
	deadline, timed := ctx.Deadline()
	if timed {
		left := time.Until(deadline)
		deadline = time.Now().Add(time.Duration(float64(left) * timeForSearch))
	}
	queue := slices.DeleteFunc(slices.Clone(jobs), func(j *keyJob) bool { return j.barred })
	slices.SortStableFunc(queue, func(a, b *keyJob) int { return cmp.Compare(len(a.constraints), len(b.constraints)) })
	workers := min(runtime.GOMAXPROCS(0), len(queue))
	var mu sync.Mutex
	next := 0
	take := func() (j *keyJob, limit time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(queue) {
			return nil, 0
		}
		j = queue[next]
		if timed {
			left := time.Until(deadline)
			limit = min(left, max(minKeyTime, left*time.Duration(workers)/time.Duration(len(queue)-next)))
		}
		next++
		return j, limit
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for j, limit := take(); j != nil; j, limit = take() {
				judgeKey(ctx, j, timed, limit, memory)
			}
		})
	}
	all.Wait()
}

func judgeKey(ctx context.Context, j *keyJob, timed bool, limit time.Duration, memory *memory) {
	if timed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	j.answer, j.why = decide(ctx, j.constraints, memory)
}

// counterexamples explains bad keys, those with the fewest operations to look at first.
func counterexamples(ctx context.Context, run *Run, bad []*keyJob, memory *memory) (found []Counterexample, reasons []string) {
	shown := bad[:min(len(bad), maxCounterexamples)]
	smallest := map[string][]constraint{}
	for i, j := range shown {
		limit, cancel := shareOf(ctx, len(shown)-i)
		small := byCall(shrink(limit, j.constraints, memory))
		cancel()
		why, failed := explain(small, j.ops)
		c := Counterexample{Key: j.key, Why: why, Of: len(j.ops)}
		if failed != nil {
			c.Ops = append(c.Ops, *failed)
		}
		for k := range small {
			c.Ops = append(c.Ops, *small[k].op)
		}
		slices.SortStableFunc(c.Ops, func(a, b history.Operation) int { return cmp.Compare(a.ID, b.ID) })
		found, smallest[j.key] = append(found, c), small
	}
	slices.SortStableFunc(found, func(a, b Counterexample) int { return cmp.Compare(len(a.Ops), len(b.Ops)) })
	for i := range found {
		c := &found[i]
		reasons = append(reasons, fmt.Sprintf("key %s: %s", c.Key, c.Why))
		if i >= maxPictures {
			continue
		}
		j := shown[slices.IndexFunc(shown, func(j *keyJob) bool { return j.key == c.Key })]
		page, err := picture(ctx, c.Key, j.constraints, smallest[c.Key], run.Faults)
		if err != nil {
			reasons = append(reasons, err.Error())
		}
		c.Picture = page
	}
	if more := len(bad) - len(shown); more > 0 {
		reasons = append(reasons, fmt.Sprintf("%d more keys are not linearizable either", more))
	}
	return found, reasons
}

// shareOf gives the first of n pieces of work its part of the time left, half of which is
// kept for pictures.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, timed := ctx.Deadline()
	if !timed {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(2*n))
}

func linearizableMetrics(jobs []*keyJob, left leftOut) []Metric {
	biggest, bad, open := 0, 0, 0
	for _, j := range jobs {
		biggest = max(biggest, len(j.constraints))
		switch j.answer {
		case illegal:
			bad++
		case undecided:
			open++
		}
	}
	return []Metric{
		{Name: "keys", Value: float64(len(jobs))},
		{Name: "keys not linearizable", Value: float64(bad)},
		{Name: "keys undecided", Value: float64(open)},
		{Name: "operations judged", Value: float64(judged(jobs))},
		{Name: "operations on the busiest key", Value: float64(biggest)},
		{Name: "left out: definitely failed", Value: float64(left.failed)},
		{Name: "left out: reads without an answer", Value: float64(left.blank)},
		{Name: "left out: stale reads", Value: float64(left.stale)},
	}
}

package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// Sessions is the checker of the workload lock for all that mutex does not judge.
func Sessions() Checker {
	return PerDatacenter(Checker{
		Name: "sessions",
		Doc: "A session lives as long as it must, and ends for good and with all its locks; acquires, releases, reads and refusals are those of " +
			"a store with sessions, in the order of its indexes; lock delays are kept.",
		Needs: saysBehavior,
		Check: checkSessions,
	})
}

// saysBehavior refuses histories of old, which do not say what becomes of a session's keys.
func saysBehavior(run *Run) string {
	for i := range run.Ops {
		op := &run.Ops[i]
		var made sessionMade
		if op.F == history.OpCreate && op.Type == history.OK && json.Unmarshal(op.Output, &made) == nil && made.Session != "" && made.Behavior == "" {
			return "the history does not say what becomes of the keys of a session that ends"
		}
	}
	return ""
}

// checkSessions holds a history of the workload lock against the sequential specification of a store with
// sessions, as Consul documents it ("Sessions" and "KV store"):
//
//	create         a session, which lives at least its TTL after this or its last renewal, and then ends in time
//	destroy        ends it; a session that ends, by whatever, releases its keys or deletes them, all at once
//	acquire by s   if s lives, and holds the key or nobody does: it holds it; no-session, lock-held
//	release by s   if s holds the key: nobody does; lock-held
//	read           value, holder, and the indexes at which the key was made and changed last
//
// A search over all orders is not needed. Where answers carry modify indexes, those are the order in which the store
// made its versions of a key, and each version is judged by the one before it (judgeVersions). What has no
// index, refusals and reads of nothing, is judged by intervals of time: when a session certainly lived, was
// certainly gone, can have held a key. Operations of unknown fate, and sessions that may have ended, excuse all
// that they can explain. Every rule is a proof, so what they find is wrong; a history in which they find nothing
// may still be. All of it costs n log n.
func checkSessions(_ context.Context, run *Run) Result {
	timed := clocksTick(run.Events)
	record, err := recordLocks(run.Ops, timed)
	if err != nil {
		return Result{Verdict: Unknown, Summary: "the history does not fit locks: " + err.Error()}
	}
	var l leaders
	if timed {
		l = leadersOf(run)
	}
	record.runOut(run, l)
	f := findings{result: Result{Verdict: Valid}}
	ended := 0
	for _, s := range record.order {
		why, ops := judgeLife(s)
		f.add("session "+brief(s.id), why, ops, len(ops))
		if s.ended != nil {
			ended++
		}
	}
	for _, name := range record.names {
		f.lock(record.keys[name], l)
	}
	f.result.Metrics = []Metric{{Name: "sessions", Value: float64(len(record.order))}, {Name: "sessions that were seen to end", Value: float64(ended)},
		{Name: "refusals", Value: float64(f.refusals)}, {Name: "acquires after a lock delay", Value: float64(f.delays)}}
	return f.conclude(fmt.Sprintf("%s, of which %d were seen to end, and %s agree with their promises",
		plural(len(record.order), "session"), ended, plural(len(record.names), "lock")), ended)
}

// findings are what the rules found so far.
type findings struct {
	result           Result
	closed           []string // why locks were not judged
	refusals, delays int      // that were judged
}

func (f *findings) add(key, why string, ops []*history.Operation, of int) {
	if why == "" {
		return
	}
	f.result.Reasons = append(f.result.Reasons, why)
	f.result.Counterexamples = append(f.result.Counterexamples, counterexampleOf(key, why, ops, of))
}

func (f *findings) lock(k *lockKey, l leaders) {
	if k.stranger != "" {
		f.closed = append(f.closed, fmt.Sprintf("lock %s: somebody else's session %s holds it", k.name, brief(k.stranger)))
		return
	}
	f.refusals += len(k.refused)
	add := func(why string, ops []*history.Operation) {
		if why != "" {
			f.add(k.name, "lock "+k.name+": "+why, ops, k.ops)
		}
	}
	add(judgeVersions(k))
	add(judgeAbsent(k))
	add(judgeRefusals(k))
	why, ops, judged := judgeDelays(k, l)
	add(why, ops)
	f.delays += judged
}

func (f *findings) conclude(valid string, ended int) Result {
	r := f.result
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary = Invalid, r.Reasons[0]
		r.Reasons = capped(append(r.Reasons, f.closed...))
		r.Counterexamples = r.Counterexamples[:min(len(r.Counterexamples), maxReasons)]
	case len(f.closed) > 0:
		r.Verdict, r.Summary, r.Reasons = Unknown, f.closed[0], capped(f.closed)
	case ended == 0:
		r.Verdict, r.Summary = Unknown, "no session was seen to end"
	default:
		r.Summary = valid
	}
	return r
}

// clocksTick reports whether time passed on every node as it passes outside: no fault made a monotonic
// clock gain, lose or leap. Sessions and lock delays are counted by it.
func clocksTick(events []history.Event) bool {
	return !slices.ContainsFunc(events, func(e history.Event) bool {
		if e.Process != history.Nemesis {
			return false
		}
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil || m.Evidence == nil {
			return err != nil || m.Done && e.F == "clock"
		}
		for _, c := range m.Evidence.Part.Clocks {
			if c.Monotonic != 0 || c.Forward != 0 {
				return true
			}
		}
		return false
	})
}

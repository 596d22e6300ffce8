package checker

import (
	"context"
	"fmt"

	"faultline/workloads/history"
)

// Tree is the checker of the workload tree.
func Tree() Checker {
	return PerDatacenter(Checker{
		Name: "tree",
		Doc: "A listing shows all keys under its prefix as they were at one moment, and not before its request unless it may be stale; " +
			"a deletion takes all that it covers, at once, and nothing comes back; a key that is made again has a new create index.",
		Needs: able(history.ReportsIndexes, "the system's answers have no modify index"),
		Check: checkTree, Prefix: true,
	})
}

// checkTree judges keys that are written, compared and set, deleted alone and by prefix, read and listed. Values
// that are not empty are unique. A write's argument is its value, a compare-and-set's [entry,value], a conditional deletion's
// the entry that it compares with; reads return an entry, listings a [history.Listing].
//
// It stands on the order that the store tells itself: every change of any key has an index of its own (Consul: the Raft index of
// its command; etcd: the revision of the store), the ModifyIndex of what it leaves. So each change has a place in
// one order, told by its own answer or by whoever saw its value, and each answer shows the keys as they were after some index s:
//
//	a entry with index m needs                  m <= s < the next change of its key
//	a key that is not there needs               a deletion between its last change before s, and s
//	an answer needs                             what was told before it was asked for <= s < what was asked for after it
//
// The smallest s that fits is found for one answer after the other, by the time of their requests. As each must not be below
// the smallest of those that were answered before (Herlihy and Wing, 1990, for the order of a history), one that has none left
// proves that there is no such order at all. A change of unknown index (a Consul tells none for deletions, and none for writes that nobody
// saw) may have happened wherever its request and answer, and what was seen of all keys that it covers, leave room: of these
// some contradictions are missed, and none is made up. The cost is n log n for directories of bounded size.
//
// Stale answers need no s that is new, but one: they are snapshots too, never from the future, and those of one server do
// not go back while its process lives. After a restart a server may know less than before, for it replays its log only
// as far as it is known to be committed.
func checkTree(_ context.Context, run *Run) Result {
	h, err := readTree(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: "the history does not fit trees: " + err.Error()}
	}
	h.collect()
	h.judgeKeys()
	h.placeAll()
	r := Result{Verdict: Valid, Metrics: h.metrics()}
	for _, p := range h.problems {
		r.Verdict = Invalid
		r.Reasons = append(r.Reasons, fmt.Sprintf("%s: %s", p.key, p.why))
		if len(r.Counterexamples) < maxCounterexamples {
			r.Counterexamples = append(r.Counterexamples, counterexampleOf(p.key, p.why, p.ops, h.about[p.key]))
		}
	}
	switch {
	case r.Verdict == Invalid:
		r.Summary = r.Reasons[0]
		r.Reasons = capped(r.Reasons)
	case h.versions == 0:
		r.Verdict, r.Summary = Unknown, "no operation saw a key, so nothing was tested"
	default:
		r.Summary = fmt.Sprintf("%s and %s of %s fit one order of their changes", plural(h.listings, "listing"),
			plural(len(h.sights)-h.listings, "look"), plural(len(h.keys), "key"))
	}
	return r
}

// treeProblem is a contradiction, and the operations that show it.
type treeProblem struct {
	key string // or prefix
	why string
	ops []*history.Operation
}

func (h *treeHistory) problem(key, why string, ops ...*history.Operation) {
	p := treeProblem{key: key, why: why}
	seen := map[int64]bool{}
	for _, op := range ops {
		if op != nil && !seen[op.ID] {
			seen[op.ID] = true
			p.ops = append(p.ops, op)
		}
	}
	h.problems = append(h.problems, p)
}

func (h *treeHistory) metrics() []Metric {
	deletions := 0
	for _, c := range h.changes {
		if c.deletes {
			deletions++
		}
	}
	return []Metric{{Name: "listings", Value: float64(h.listings)}, {Name: "other looks at a key", Value: float64(len(h.sights) - h.listings)},
		{Name: "keys", Value: float64(len(h.keys))}, {Name: "versions of keys", Value: float64(h.versions)},
		{Name: "deletions that may have happened", Value: float64(deletions)}}
}

package checker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"faultline/workloads/history"
)

// checkLeaks compares what the process of each node uses at the end of its life with what it used at its
// beginning: goroutines, open descriptors, live memory, as far as nodes tell. Load makes all of them grow,
// and so does a fault, for a while. So only growth that is far beyond that is held against a system, and only
// if it goes on after the last heal, when nothing but the usual load is left.
func checkLeaks(_ context.Context, run *Run) Result {
	lives, err := usages(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	if len(run.Ops) == 0 {
		return Result{Verdict: NotApplicable, Summary: "no client asked for anything"}
	}
	since, _, err := lastHeal(run)
	if err != nil {
		return Result{Verdict: NotApplicable, Summary: err.Error()}
	}
	end := clientsRest(run)
	r := Result{Verdict: Valid}
	judged := 0
	for _, name := range slices.Sorted(maps.Keys(lives)) {
		life := lives[name]
		grown := life[0].at + int64(earlyFor)
		from := max(since, grown+int64(calmFor))
		early, calm := life.between(life[0].at, grown), life.between(from, end)
		if len(calm) < leastCalm || end-from < int64(calmFor) {
			continue
		}
		judged++
		for _, f := range figures {
			if why := f.grew(early, calm, len(run.Ops)); why != "" {
				r.Reasons = append(r.Reasons, fmt.Sprintf("%s: %s", life[0].node, why))
			}
		}
	}
	for _, f := range figures {
		if most := f.most(lives); most > 0 {
			r.Metrics = append(r.Metrics, Metric{"most " + f.name + " of a node", float64(most) / f.per, f.unit})
		}
	}
	r.Metrics = append(r.Metrics, Metric{"lives of nodes that were judged", float64(judged), ""})
	r.Summary = fmt.Sprintf("what the processes of %s use did not grow without end", plural(judged, "node"))
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary, r.Reasons = Invalid, r.Reasons[0], capped(r.Reasons)
	case judged == 0:
		r.Verdict, r.Summary = NotApplicable, "no node was observed for long enough, from before the last heal to long after it"
	}
	return r
}

// tellsUsage is what a run lacks whose nodes do not tell what they use.
func tellsUsage(run *Run) string {
	lives, err := usages(run)
	if err == nil && len(lives) == 0 {
		return "the system's nodes do not tell what their processes use"
	}
	return "" // of an error the check itself tells
}

const (
	earlyFor  = 5 * time.Second // from the first answer of a life on
	calmFor   = 5 * time.Second // of the time after the last heal at least; and between the early part of a life and that
	leastCalm = 12              // answers in that time
	growth    = 5               // times what it was early is far beyond load
)

// figure is one thing that a process uses.
type figure struct {
	name, unit string
	per        float64 // of the unit
	beyond     uint64  // more than early is far beyond load
	perOp      uint64  // and so much more for every operation of the run
	of         func(history.Observation) uint64
}

var figures = []figure{
	{"goroutines", "", 1, 500, 0, func(o history.Observation) uint64 { return uint64(max(o.Goroutines, 0)) }},
	{"open descriptors", "", 1, 250, 0, func(o history.Observation) uint64 { return uint64(max(o.Descriptors, 0)) }},
	{"live memory", "MiB", 1 << 20, 256 << 20, 4 << 10, func(o history.Observation) uint64 { return o.Memory }},
}

// grew says how a figure grew beyond all load, and went on growing in the calm: the least in its last third is
// more than the most in its first.
func (f figure) grew(early, calm life, ops int) string {
	least := func(part life) uint64 { return f.of(slices.MinFunc(part, f.compare).Observation) }
	first := f.of(slices.MaxFunc(calm[:len(calm)/3], f.compare).Observation)
	was, is := least(early), least(calm[len(calm)-len(calm)/3:])
	if was == 0 || is <= growth*was || is-was <= f.beyond+f.perOp*uint64(ops) || is <= first {
		return ""
	}
	return fmt.Sprintf("%s early in its life, at most %s right after the last heal, and at the end never less than %s",
		f.words(was), f.words(first), f.words(is))
}

func (f figure) words(n uint64) string {
	if f.unit == "" {
		return fmt.Sprintf("%d %s", n, f.name)
	}
	return fmt.Sprintf("%.0f %s of %s", float64(n)/f.per, f.unit, f.name)
}

func (f figure) compare(a, b observation) int {
	return cmp.Compare(f.of(a.Observation), f.of(b.Observation))
}

func (f figure) most(lives map[string]life) (most uint64) {
	for _, l := range lives {
		most = max(most, f.of(slices.MaxFunc(l, f.compare).Observation))
	}
	return most
}

// life is what one process told, in order.
type life []observation

func (l life) between(from, to int64) (part life) {
	for _, u := range l {
		if u.at >= from && u.at < to {
			part = append(part, u)
		}
	}
	return part
}

// usages are the lives of all nodes that tell what they use.
func usages(run *Run) (map[string]life, error) {
	known, err := livesOf(run)
	if err != nil {
		return nil, err
	}
	lives := map[string]life{}
	said, err := observations(run)
	if err != nil {
		return nil, err
	}
	for _, u := range said {
		if u.Error != "" || u.Goroutines == 0 && u.Descriptors == 0 && u.Memory == 0 {
			continue
		}
		name, sure := u.BootID, true
		if name == "" {
			name, sure = known.at(u.node, u.at)
		}
		if sure {
			lives[u.node+" "+name] = append(lives[u.node+" "+name], u)
		}
	}
	return lives, nil
}

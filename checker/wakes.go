package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"faultline/workloads/history"
)

const (
	// lateShare of Settings.RecoverWithin, and leastLate, are how long a watch may sleep after its key has
	// changed while its node serves others.
	lateShare = 10
	leastLate = int64(time.Second)

	leastLateWatches  = 3  // of a run: one may be a packet that was lost again and again
	leastEarlyWatches = 20 // of a node
)

// wakes is when watches returned.
type wakes struct {
	limit   int64              // how late a watch may wake; 0: the scenario sets no bound
	excused []band             // times in which nothing is due: faults, and new terms
	served  map[string][]int64 // by node, when operations that need a leader were answered there, in order

	asked, answered, woken, slept, spurious, hurried int
	latency                                          []int64 // from the answer to the change until that to the watch
	late                                             []lateWake
	early                                            map[string][]watchView // by node, those that returned too soon with nothing new
	patient                                          map[string]int         // by node, those that waited with nothing new
	broken                                           []brokenWatch
}

type lateWake struct {
	key    string
	view   watchView
	change keyChange
}

type brokenWatch struct {
	key, why string
	ops      []*history.Operation
}

// wakesOf judges when watches returned, by two rules. Both allow for what may happen to one watch on the wrong
// machine at the wrong time, and so judge several.
//
// A watch that waits while its key changes returns: it is due when the change was acknowledged, or when it was sent
// itself, if that was later. It is late if it returned more than a tenth of Settings.RecoverWithin after that, one second at
// least, though its node answered others all along, the half of that bound apart at most; so neither the node nor the
// harness stood still. Where a fault was in force at any time since it was sent, or had been healed less than the bound
// before, nothing is due: its request may hang in a connection that is broken. Nor is anything where a term began: the
// request may wait at the old leader, whose machine may be what stands still. Neither is anything of stale answers.
//
// A watch that returns what its client knew has waited its time. It may return early without a change, and now
// and then does: Consul's do when a restore replaces the store. But where most of them do, clients that go on at once, as
// they are told to, ask in a circle (hashicorp/consul#1244). Half of the wait is enough, for nodes' clocks may be fast, and
// none is counted in times in which nothing is due: a fault may make clocks run as fast as it likes.
func wakesOf(run *Run, keys map[string]*watchedKey) *wakes {
	w := &wakes{served: map[string][]int64{}, early: map[string][]watchView{}, patient: map[string]int{}}
	if within := int64(run.Settings.RecoverWithin); within > 0 {
		w.limit = max(leastLate, within/lateShare)
	}
	for _, b := range slices.Concat(faultBands(run.Faults), newTerms(run)) {
		w.excused = append(w.excused, band{b.from, min(b.to, history.Pending-w.limit) + w.limit})
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.F == history.OpWatch {
			w.asked++
		}
		if served(op) && op.Mode != history.ModeStale {
			w.served[op.Node] = append(w.served[op.Node], op.Return)
		}
	}
	for _, times := range w.served {
		slices.Sort(times)
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if k := keys[name]; k.foreign == "" {
			w.look(k)
		}
	}
	w.judge()
	return w
}

// look takes in the watches of a key.
func (w *wakes) look(k *watchedKey) {
	present := map[uint64]bool{} // by index, that the key was there
	for _, v := range k.views {
		present[v.next] = v.present
	}
	for _, c := range k.changes {
		present[c.index] = !c.deletes
	}
	first := firstAnswers(k.changes)
	for _, v := range k.views {
		if v.op.F != history.OpWatch {
			continue
		}
		w.answered++
		if v.since == 0 {
			continue
		}
		c, changed := first.after(k.changesUpTo(v.since), present[v.since])
		if changed {
			w.lookAtWake(k.name, v, c)
		}
		switch {
		case v.next > v.since && changed:
			w.woken++
		case v.next > v.since:
			w.spurious++
		case v.op.Return-v.op.Invoke < int64(v.wait/2):
			w.hurried++
			if !overlapsAny(w.excused, v.op.Invoke, v.op.Return) {
				w.early[v.op.Node] = append(w.early[v.op.Node], v)
			}
		default:
			w.slept++
			w.patient[v.op.Node]++
		}
	}
}

// lookAtWake measures when a watch returned whose key changed.
func (w *wakes) lookAtWake(key string, v watchView, c keyChange) {
	from, to := max(c.op.Return, v.op.Invoke), v.op.Return
	if c.op.Return > v.op.Invoke && v.next > v.since {
		w.latency = append(w.latency, max(0, to-from))
	}
	if w.limit > 0 && v.op.Mode != history.ModeStale && to-from > w.limit && !overlapsAny(w.excused, v.op.Invoke, to) && w.servedAlong(v.op.Node, from, to) {
		w.late = append(w.late, lateWake{key, v, c})
	}
}

// servedAlong reports whether a node answered operations that need a leader all the time, the half of the bound apart at most.
func (w *wakes) servedAlong(node string, from, to int64) bool {
	times := w.served[node]
	at, _ := slices.BinarySearch(times, from)
	for ; at < len(times) && times[at] < to; at++ {
		if times[at]-from > w.limit/2 {
			return false
		}
		from = times[at]
	}
	return to-from <= w.limit/2
}

// overlapsAny reports whether any band shares a time with [from, to].
func overlapsAny(bands []band, from, to int64) bool {
	return slices.ContainsFunc(bands, func(b band) bool { return b.from <= to && b.to >= from })
}

// newTerms lists when a term began: some time before the first server was seen in it. Systems that do not tell their
// terms have none, and observations that cannot be read are for other checkers.
func newTerms(run *Run) (began []band) {
	highest := uint64(0)
	for i := range run.Events {
		e := &run.Events[i]
		var o history.Observation
		if e.Process != history.Observer || e.F != history.FObserve || json.Unmarshal(e.Value, &o) != nil || o.Term <= highest {
			continue
		}
		highest = o.Term
		began = append(began, band{e.Time - observationLag, e.Time})
	}
	return began
}

// firstAnswered is, for every place in the changes of a key, which write and which deletion of those from there on was
// answered first.
type firstAnswered struct{ write, deletion []keyChange }

func firstAnswers(changes []keyChange) firstAnswered {
	f := firstAnswered{make([]keyChange, len(changes)+1), make([]keyChange, len(changes)+1)}
	for i := len(changes) - 1; i >= 0; i-- {
		f.write[i], f.deletion[i] = f.write[i+1], f.deletion[i+1]
		of := &f.write[i]
		if changes[i].deletes {
			of = &f.deletion[i]
		}
		if of.op == nil || changes[i].op.Return < of.op.Return {
			*of = changes[i]
		}
	}
	return f
}

// after is the change that was answered first of those from a place on. A deletion counts only if the key was
// there before: of one that is absent it changes nothing.
func (f firstAnswered) after(place int, present bool) (c keyChange, any bool) {
	c = f.write[place]
	if d := f.deletion[place]; present && d.op != nil && (c.op == nil || d.op.Return < c.op.Return) {
		c = d
	}
	return c, c.op != nil
}

// judge makes of what was seen what is against the promise.
func (w *wakes) judge() {
	if len(w.late) >= leastLateWatches {
		for _, l := range w.late {
			due := max(l.change.op.Return, l.view.op.Invoke)
			w.broken = append(w.broken, brokenWatch{l.key, fmt.Sprintf(
				"%s, which waited for what came after index %d, came %s after it was due: index %d was answered at %s, it was sent at %s, and %s answered others meanwhile; allowed are %s (so late in this run: %d)",
				describeView(l.view), l.view.since, ms(l.view.op.Return-due), l.change.index, clock(l.change.op.Return), clock(l.view.op.Invoke),
				l.view.op.Node, ms(w.limit), len(w.late)), []*history.Operation{l.change.op, l.view.op}})
		}
	}
	for _, node := range slices.Sorted(maps.Keys(w.early)) {
		early := w.early[node]
		if len(early) < leastEarlyWatches || len(early) <= w.patient[node] {
			continue
		}
		v := early[0]
		w.broken = append(w.broken, brokenWatch{v.op.Key, fmt.Sprintf(
			"%d of %d watches that %s answered with nothing new had not waited for half of their time; the first, sent at %s to wait %s for what came after index %d, was answered %s later with index %d",
			len(early), len(early)+w.patient[node], node, clock(v.op.Invoke), ms(int64(v.wait)), v.since, ms(v.op.Return-v.op.Invoke), v.next), []*history.Operation{v.op}})
	}
}

func (w *wakes) metrics() []Metric {
	slices.Sort(w.latency)
	at := func(q float64) float64 { return quantile(w.latency, q).Seconds() * 1000 }
	return []Metric{
		{Name: "watches", Value: float64(w.asked)},
		{Name: "watches answered", Value: float64(w.answered)},
		{Name: "watches that saw a change", Value: float64(w.woken)},
		{Name: "watches that waited for nothing", Value: float64(w.slept)},
		{Name: "watches that returned early with nothing new", Value: float64(w.hurried)},
		{Name: "watches that returned early with a new index and no change that is known", Value: float64(w.spurious)},
		{Name: "watches that woke late", Value: float64(len(w.late))},
		{Name: "wake after a change: p50", Value: at(0.50), Unit: "ms"},
		{Name: "wake after a change: p99", Value: at(0.99), Unit: "ms"},
		{Name: "wake after a change: longest", Value: at(1), Unit: "ms"},
	}
}

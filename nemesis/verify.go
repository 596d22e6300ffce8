package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

const (
	setWithin      = 20 * time.Second // one Cluster.Set, with the restart of all nodes
	measureWithin  = 10 * time.Second // one Cluster.Measure
	verifyWithin   = 3 * time.Second  // probing until it shows what was asked
	baselineWithin = 15 * time.Second // the same after the last heal, setting it again each time
)

// leastProbes is how often a change is probed at least before nobody waits for it any
// more, however long one probe took.
const leastProbes = 2

// look is what came of an attempt to bring the cluster into conditions, and to see it there.
type look struct {
	before, want faults.Conditions
	got          *faults.Measurement // nil if nothing was measured
	failed       error               // what kept it from being set or measured
	nodes        []string
}

func (l look) measured() faults.Measurement {
	if l.got == nil {
		return faults.Measurement{}
	}
	return *l.got
}

// evidence is the look as evidence of a change.
func (l look) evidence(e faults.Evidence) faults.Evidence {
	e.Want, e.Before, e.Got, e.Nodes = &l.want, &l.before, l.got, l.nodes
	if l.failed != nil && e.Error == "" {
		e.Error = l.failed.Error()
	}
	return e
}

// err is why the look does not show what was asked.
func (l look) err() error {
	if l.nodes == nil {
		return nil // nobody looked
	}
	if gaps := l.evidence(faults.Evidence{}).Gaps(); len(gaps) > 0 {
		return errors.New(faults.Summary(gaps))
	}
	return nil
}

// reconcile brings the cluster into conditions, and looks until it is there.
func (p *player) reconcile(ctx context.Context, want faults.Conditions) look {
	l := look{before: p.set, want: want, nodes: p.names()}
	if err := ctx.Err(); err != nil {
		l.failed = fmt.Errorf("interrupted: %w", context.Cause(ctx))
		return l
	}
	setCtx, cancel := context.WithTimeout(ctx, setWithin)
	defer cancel()
	p.changeBegan = time.Now()
	if err := p.Cluster.Set(setCtx, want); err != nil {
		l.failed = fmt.Errorf("not set: %w", err)
		return l
	}
	p.changeEnded = time.Now()
	p.set = want
	return p.verify(ctx, l)
}

// verify probes until the measurement is what is wanted, or gives up. The first probes
// after a change may still see what was before.
func (p *player) verify(ctx context.Context, l look) look {
	began := time.Now()
	for probes := 1; ; probes++ {
		l.got, l.failed = p.measure(ctx)
		err := l.err()
		if err == nil || probes >= leastProbes && time.Since(began) >= verifyWithin {
			return l
		}
		if cut := sleep(ctx, pollEvery); cut != nil {
			l.failed = fmt.Errorf("interrupted: %w (so far: %w)", cut, err)
			return l
		}
	}
}

func (p *player) measure(ctx context.Context) (*faults.Measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	measured, err := p.Cluster.Measure(ctx)
	if err != nil {
		return nil, fmt.Errorf("not measured: %w", err)
	}
	return &measured, nil
}

// names are those of all nodes.
func (p *player) names() []string { return namesWhere(p.Topology, func(string) bool { return true }) }

// baseline brings the cluster to health, tries again as long as it may, and marks
// what the probes see.
func (p *player) baseline(ctx context.Context) {
	p.markBaseline(history.FBaseline, "", func(want faults.Conditions) look {
		began := time.Now()
		seen := p.reconcile(ctx, want)
		for seen.err() != nil && time.Since(began) < baselineWithin && sleep(ctx, pollEvery) == nil {
			seen = p.reconcile(ctx, want)
		}
		return seen
	})
}

// Verify measures once more, without changing anything, whether the cluster is as it is without faults, and marks what it
// found as [history.FBaselineEnd]. It is for the end of a run, after whatever came after Play. An error means that the history
// could not be written.
func Verify(ctx context.Context, w World) error {
	p := newPlayer(w)
	p.markBaseline(history.FBaselineEnd, "at the end ", func(want faults.Conditions) look {
		return p.verify(ctx, look{before: want, want: want, nodes: p.names()})
	})
	return p.failure()
}

// markBaseline marks, before and after, what a check of the baseline asks and finds.
func (p *player) markBaseline(f history.Op, when string, check func(want faults.Conditions) look) {
	want := p.Topology.Baseline()
	n, running := len(p.Topology.Nodes()), len(p.Topology.Started())
	mark := history.FaultEvent{Step: -1, Stage: history.Baseline,
		Asked: fmt.Sprintf("%shealthy: %d links open, %d nodes running", when, n*(n-1), running)}
	if !want.Healthy() { // as the topology has it
		mark.Asked += "; " + want.Words()
	}
	p.mark(f, mark)
	evidence := check(want).evidence(faults.Evidence{})
	mark.Done, mark.Evidence = true, &evidence
	p.mark(f, mark)
}

// conclude adds to the part's evidence what was measured. The cluster was measured as a
// whole, so that is evidence of every part of the change.
func (part *part) conclude(seen look, late time.Duration) {
	part.evidence.Late = late
	if part.fresh {
		part.evidence = seen.evidence(part.evidence)
	}
}

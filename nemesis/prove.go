package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

const (
	setWithin      = 20 * time.Second       // one Cluster.Set, with the restart of all nodes
	measureWithin  = 10 * time.Second       // one Cluster.Measure
	proveWithin    = 3 * time.Second        // probing until it shows what was asked
	baselineWithin = 15 * time.Second       // the same after the last heal, setting it again each time
	noteLateness   = 100 * time.Millisecond // a change that is later than this says so
)

// leastProbes is how often a change is probed at least before it counts as not proved,
// however long one probe took.
const leastProbes = 2

// bring makes the cluster be in the wanted conditions and proves that it is.
func (p *player) bring(ctx context.Context, want nodes.Conditions) (nodes.Measurement, error) {
	if err := ctx.Err(); err != nil {
		return nodes.Measurement{}, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	setCtx, cancel := context.WithTimeout(ctx, setWithin)
	defer cancel()
	if err := p.Cluster.Set(setCtx, want); err != nil {
		return nodes.Measurement{}, fmt.Errorf("not set: %w", err)
	}
	return p.prove(ctx, want)
}

// prove probes until the measurement is what is wanted, or gives up and says where it is
// not. The first probes after a change may still see what was before.
func (p *player) prove(ctx context.Context, want nodes.Conditions) (nodes.Measurement, error) {
	names := namesWhere(p.Topology, func(string) bool { return true })
	began := time.Now()
	for probes := 1; ; probes++ {
		measured, err := p.measure(ctx)
		if err == nil {
			err = mismatch(measured.Mismatches(want, names))
		}
		if err == nil || probes >= leastProbes && time.Since(began) >= proveWithin {
			return measured, err
		}
		if cut := sleep(ctx, pollEvery); cut != nil {
			return measured, fmt.Errorf("interrupted: %w (so far: %w)", cut, err)
		}
	}
}

func (p *player) measure(ctx context.Context) (nodes.Measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	measured, err := p.Cluster.Measure(ctx)
	if err != nil {
		return measured, fmt.Errorf("not measured: %w", err)
	}
	return measured, nil
}

// baseline brings the cluster to health, tries again as long as it may, and marks
// whether the probes agree.
func (p *player) baseline(ctx context.Context) {
	want := nodes.Baseline(p.Topology)
	n, running := len(p.Topology.Nodes()), len(p.Topology.Started())
	mark := history.FaultMark{Step: -1, Stage: history.Baseline,
		Asked: fmt.Sprintf("healthy: %d links open, %d nodes running", n*(n-1), running)}
	if !want.Healthy() { // as the topology has it
		mark.Asked += "; " + brokenWords(want)
	}
	p.mark(FBaseline, mark)
	began := time.Now()
	measured, err := p.bring(ctx, want)
	for err != nil && time.Since(began) < baselineWithin && sleep(ctx, pollEvery) == nil {
		measured, err = p.bring(ctx, want)
	}
	mark.Done, mark.Proved, mark.Measured = true, err == nil, allWords(measured)
	if err != nil {
		mark.Error = err.Error()
	}
	p.mark(FBaseline, mark)
}

// conclude fills in the part's last mark. The cluster was measured as a whole, so an
// error of the measurement is one of every part of the change.
func (part *part) conclude(measured nodes.Measurement, err error, late time.Duration) {
	seen := part.seen
	if part.fresh {
		if words := seenWords(part.alone, measured); words != "" {
			seen = append(seen, words)
		} else {
			seen = append(seen, hitWords(part.hit, measured))
		}
	}
	if late > noteLateness {
		seen = append(seen, fmt.Sprintf("%s late", late.Round(noteLateness)))
	}
	part.mark.Measured = strings.Join(seen, "; ")
	if part.mark.Error == "" && part.fresh && err != nil {
		part.mark.Error = err.Error()
	}
	part.mark.Done, part.mark.Proved = true, part.mark.Error == ""
}

// mismatch makes one error of sentences, the first few of them.
func mismatch(sentences []string) error {
	const shown = 5
	switch n := len(sentences); {
	case n == 0:
		return nil
	case n > shown:
		return fmt.Errorf("%s; and %d more", strings.Join(sentences[:shown], "; "), n-shown)
	}
	return errors.New(strings.Join(sentences, "; "))
}

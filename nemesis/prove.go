package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/nodes/faults"
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
func (p *player) bring(ctx context.Context, want faults.Conditions) (faults.Measurement, error) {
	if err := ctx.Err(); err != nil {
		return faults.Measurement{}, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	setCtx, cancel := context.WithTimeout(ctx, setWithin)
	defer cancel()
	if err := p.Cluster.Set(setCtx, want); err != nil {
		return faults.Measurement{}, fmt.Errorf("not set: %w", err)
	}
	before := p.set
	p.set = want
	return p.prove(ctx, before, want)
}

// prove probes until the measurement is what is wanted, or gives up and says where it is
// not. The first probes after a change may still see what was before. A node that was to run before and is
// to run now, and does not, has ended by itself.
func (p *player) prove(ctx context.Context, before, want faults.Conditions) (faults.Measurement, error) {
	names := namesWhere(p.Topology, func(string) bool { return true })
	began := time.Now()
	for probes := 1; ; probes++ {
		measured, err := p.measure(ctx)
		if err == nil {
			err = mismatch(slices.Concat(endedWords(measured, before, want), measured.Mismatches(want, names)))
		}
		if err == nil || probes >= leastProbes && time.Since(began) >= proveWithin {
			return measured, err
		}
		if cut := sleep(ctx, pollEvery); cut != nil {
			return measured, fmt.Errorf("interrupted: %w (so far: %w)", cut, err)
		}
	}
}

func (p *player) measure(ctx context.Context) (faults.Measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	measured, err := p.Cluster.Measure(ctx)
	if err != nil {
		return measured, fmt.Errorf("not measured: %w", err)
	}
	return measured, nil
}

// endedWords says which nodes were to run before, are to run now, and do not: nobody but they has ended them. Of those whose disk
// permits it, that is no fault.
func endedWords(m faults.Measurement, before, now faults.Conditions) []string {
	var words []string
	for node, state := range m.Processes {
		if state == faults.Killed && !before.Processes[node].Ended() && !now.Processes[node].Ended() && !now.Disks[node].EndsNodes() {
			words = append(words, node+" has ended by itself")
		}
	}
	slices.Sort(words)
	return words
}

// baseline brings the cluster to health, tries again as long as it may, and marks
// whether the probes agree.
func (p *player) baseline(ctx context.Context) {
	p.markBaseline(history.FBaseline, "", func(want faults.Conditions) (measured faults.Measurement, err error) {
		began := time.Now()
		measured, err = p.bring(ctx, want)
		for err != nil && time.Since(began) < baselineWithin && sleep(ctx, pollEvery) == nil {
			measured, err = p.bring(ctx, want)
		}
		return measured, err
	})
}

// Verify measures once more, without changing anything, whether the cluster is as it is without faults, and marks what it
// found as [history.FBaselineEnd]. It is for the end of a run, after whatever came after Play. An error means that the history
// could not be written.
func Verify(ctx context.Context, w World) error {
	p := newPlayer(w)
	p.markBaseline(history.FBaselineEnd, "at the end ", func(want faults.Conditions) (faults.Measurement, error) {
		return p.prove(ctx, want, want)
	})
	return p.failure()
}

// markBaseline marks, before and after, what a check of the baseline asks and finds.
func (p *player) markBaseline(f, when string, check func(want faults.Conditions) (faults.Measurement, error)) {
	want := p.Topology.Baseline()
	n, running := len(p.Topology.Nodes()), len(p.Topology.Started())
	mark := history.FaultMark{Step: -1, Stage: history.Baseline,
		Asked: fmt.Sprintf("%shealthy: %d links open, %d nodes running", when, n*(n-1), running)}
	if !want.Healthy() { // as the topology has it
		mark.Asked += "; " + brokenWords(want)
	}
	p.mark(f, mark)
	measured, err := check(want)
	mark.Done, mark.Proved, mark.Measured = true, err == nil, allWords(measured)
	if err != nil {
		mark.Error = err.Error()
	}
	p.mark(f, mark)
}

// conclude fills in the part's last mark. The cluster was measured as a whole, so an
// error of the measurement is one of every part of the change.
func (part *part) conclude(measured faults.Measurement, want faults.Conditions, err error, late time.Duration) {
	seen := part.seen
	if part.fresh {
		if words := seenWords(part.alone, measured); words != "" {
			seen = append(seen, words)
		} else {
			seen = append(seen, hitWords(part.hit, measured))
		}
	}
	for node := range part.alone.Disks {
		if part.alone.Disks[node].EndsNodes() && measured.Processes[node] == faults.Killed && !want.Processes[node].Ended() {
			seen = append(seen, node+" has ended by itself")
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

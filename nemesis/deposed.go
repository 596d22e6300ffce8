package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"faultline/nodes/faults"
)

// defaultReads is how many reads wait for a deposed leader. With 60 of them, two runs in
// three of Consul 1.22 answered some from the state before the new leader's writes.
const defaultReads = 60

// wakeAfter is the time between the last read sent and the leader's waking: enough for
// the packets to be in its sockets.
const wakeAfter = 30 * time.Millisecond

// settleAfter is the time for a leader that is well to answer the reads of prepareReads.
const settleAfter = 300 * time.Millisecond

// sendWithin bounds the sending of all reads.
const sendWithin = 5 * time.Second

// deposedLeaderReads is aimed at reads that a leader answers because it believes to lead,
// or counts on a lease by a clock that stood still. Ordinary clients go on writing
// through the new leader, so that what the old one still has is stale.
var deposedLeaderReads = Fault{
	Name:   "deposed-leader-reads",
	Family: "deposed",
	Doc: "Pauses the leader until another leads, fires reads at it, and wakes it while they wait in its sockets. " +
		"A node that is named is made the leader first, if it is not.",
	Targets: []string{Primary},
	Options: []string{"reads"},
	Needs:   []faults.Capability{faults.ProcessPause},
	For:     4 * time.Second,
	Suits:   oneOf(3), // the others must be a majority
	Nodes:   namedNodes,
	Edit:    inState(faults.Paused),
	Before:  prepareReads,
	After:   awaitSuccessor,
	Heal:    fireReads,
}

// prepareReads fires the reads once while the leader is well, so that connections for
// them stand. Those that come while it is paused are then found as they are, on
// connections that somebody already reads from; new connections have to be accepted
// first, and by then the leader has heard of the other.
func prepareReads(ctx context.Context, w World, s Step, hit []string) (string, error) {
	if err := enthrone(ctx, w, hit[0]); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	reads := cmp.Or(s.Reads, defaultReads)
	if err := w.Burst(ctx, hit[0], reads); err != nil {
		return "", fmt.Errorf("%d reads at %s: %w", reads, hit[0], err)
	}
	return "", sleep(ctx, settleAfter)
}

func awaitSuccessor(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	next, err := leaderWho(ctx, w, "another than "+hit[0]+" to lead", func(l string) bool { return l != hit[0] })
	if err != nil {
		return "", err
	}
	return next + " leads instead", nil
}

func fireReads(ctx context.Context, w World, s Step, hit []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	reads := cmp.Or(s.Reads, defaultReads)
	if err := w.Burst(ctx, hit[0], reads); err != nil {
		return "", fmt.Errorf("%d reads at %s: %w", reads, hit[0], err)
	}
	if err := sleep(ctx, wakeAfter); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d reads sent to %s before it woke", reads, hit[0]), nil
}

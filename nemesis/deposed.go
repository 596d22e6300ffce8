package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// defaultReads is how many reads wait for a deposed leader. With 60 of them, two runs in
// three of Consul 1.22 answered some from the state before the new leader's writes.
const defaultReads = 60

// wakeAfter is the time between the last read sent and the leader's waking: enough for
// the packets to be in its sockets.
const wakeAfter = 30 * time.Millisecond

// settleAfter is the time for a leader that is well to answer the reads of prepare.
const settleAfter = 300 * time.Millisecond

// sendWithin bounds the sending of all reads.
const sendWithin = 5 * time.Second

// DeposedLeaderReads is aimed at reads that a leader answers because it believes to lead,
// or counts on a lease by a clock that stood still. Ordinary clients go on writing
// through the new leader, so that what the old one still has is stale.
type DeposedLeaderReads struct {
	namedServers
	Reads int `yaml:"reads,omitempty"` // how many; 0 for the default
	// Wake is how long another has led when the reads are sent and the old leader wakes; 0: it wakes when the step
	// ends. A lease that lasts too long shows only while it lasts, which is over soon after the election.
	Wake time.Duration `yaml:"wake,omitempty"`
}

// wakeMost is the longest Wake.
const wakeMost = time.Minute

func (DeposedLeaderReads) Kind() Kind {
	return Kind{
		Name:   "deposed-leader-reads",
		Family: "deposed",
		Doc: "Pauses the leader until another leads, fires reads at it, and wakes it while they wait in its sockets. " +
			"A node that is named is made the leader first, if it is not.",
		Targets:     []string{Primary},
		Needs:       []faults.Capability{faults.ProcessPause},
		For:         4 * time.Second,
		NeedsLeader: true,
		Alone:       true,
	}
}

func (d DeposedLeaderReads) Validate(t topologies.Topology, s Step) error {
	if d.Reads < 0 {
		return fmt.Errorf("reads is %d", d.Reads)
	}
	if d.Wake != 0 && d.Wake < time.Millisecond || d.Wake > wakeMost {
		return fmt.Errorf("wake is %s: want 1ms to %s", d.Wake, wakeMost)
	}
	return oneOf(3, t, s) // the others must be a majority
}

func (d DeposedLeaderReads) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(d.Nodes(t, s), faults.Paused)
}

func (d DeposedLeaderReads) Acts() Acts {
	return Acts{Before: d.prepare, After: awaitSuccessor, Heal: d.fire}
}

// prepare fires the reads once while the leader is well, so that connections for
// them stand. Those that come while it is paused are then found as they are, on
// connections that somebody already reads from; new connections have to be accepted
// first, and by then the leader has heard of the other.
func (d DeposedLeaderReads) prepare(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	if err := ensureLeader(ctx, w, targets[0]); err != nil {
		return Seen{}, err
	}
	if _, err := d.send(ctx, w, targets[0]); err != nil {
		return Seen{}, err
	}
	return Seen{}, sleep(ctx, settleAfter)
}

// send sends all reads, and says how many those are.
func (d DeposedLeaderReads) send(ctx context.Context, w World, node string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	reads := cmp.Or(d.Reads, defaultReads)
	if err := w.Burst(ctx, node, reads); err != nil {
		return 0, fmt.Errorf("%d reads at %s: %w", reads, node, err)
	}
	return reads, nil
}

// Timed draws when the old leader wakes.
func (d DeposedLeaderReads) Timed(between func(least, most time.Duration) time.Duration) (Fault, time.Duration) {
	d.Wake = between(10*time.Millisecond, 4*time.Second)
	return d, d.Kind().For + d.Wake
}

func (d DeposedLeaderReads) wakesAfter() time.Duration { return d.Wake }

// awaitSuccessor waits for another leader. Where the moment counts it is learned from who watches the servers.
func awaitSuccessor(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	another := func(leader string) bool { return leader != targets[0] }
	next, seen := w.watcher.await(ctx, another)
	if !seen {
		var err error
		if next, err = waitForLeader(ctx, w, "another than "+targets[0]+" to lead", another); err != nil {
			return Seen{}, err
		}
	}
	return found(faults.Finding{About: "leader", Want: faults.Lacks, Names: targets[:1], Got: []string{next}, Words: next + " leads instead"}), nil
}

func (d DeposedLeaderReads) fire(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	reads, err := d.send(ctx, w, targets[0])
	if err != nil {
		return Seen{}, err
	}
	led := time.Duration(0)
	if d.Wake > 0 {
		led = time.Since(w.watcher.since())
	}
	seen := found(faults.Finding{About: "reads sent", Want: faults.AtLeast, Least: uint64(cmp.Or(d.Reads, defaultReads)), Count: uint64(reads),
		Words: fmt.Sprintf("%d reads sent to %s before it woke", reads, targets[0])})
	if d.Wake > 0 {
		seen.Findings = append(seen.Findings, faults.Finding{About: "ms for which another had led", Want: faults.AtLeast, Least: uint64(max(d.Wake.Milliseconds(), 1)),
			Count: uint64(led.Milliseconds()), Words: fmt.Sprintf("another had led for %s", led.Round(time.Millisecond))})
	}
	return seen, sleep(ctx, wakeAfter)
}

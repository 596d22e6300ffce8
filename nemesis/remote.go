package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// RemoteLeaderKill ends the leader of a datacenter while it has work of other datacenters: whoever forwarded that must not
// do it twice, and must not say that it failed if it may have been done.
type RemoteLeaderKill struct {
	namedServers
	// Operations is how many have to be under way at the kill; 0 for one.
	Operations uint64 `yaml:"operations,omitempty"`
}

const (
	// youngest is how long ago an operation began at most that the kill waits for: one that is older may be answered before
	// the process is gone, which takes some milliseconds. A round trip between datacenters takes longer.
	youngest = 10 * time.Millisecond
	// remoteDelay is how long requests are on their way to a datacenter, at least, in topologies that Generate draws it for.
	remoteDelay = 2 * youngest
	// Operations are looked at so often.
	forwardedEvery = time.Millisecond
)

func (RemoteLeaderKill) Kind() Kind {
	return Kind{
		Name:   "remote-leader-kill",
		Family: "wan",
		Doc: "Kills the leader of a datacenter while operations are under way that mean its data and were asked of nodes of other datacenters (at least so many: " +
			"operations, 1 if it is left out). A node that is named is made the leader first, if it is not.",
		Targets:     []string{Primary},
		Needs:       []faults.Capability{faults.ProcessKill},
		For:         5 * time.Second,
		NeedsLeader: true,
		StopsNodes:  true,
		Remote:      true,
	}
}

func (RemoteLeaderKill) Validate(t topologies.Topology, s Step) error { return oneOf(1, t, s) }

func (r RemoteLeaderKill) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(r.Nodes(t, s), faults.Killed)
}

func (r RemoteLeaderKill) Acts() Acts {
	return Acts{Before: r.awaitOperations, After: r.countOperations}
}

func (r RemoteLeaderKill) least() int { return int(cmp.Or(r.Operations, 1)) }

// awaitOperations waits until so many have just begun.
func (r RemoteLeaderKill) awaitOperations(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	if w.Forwarded == nil {
		return Seen{}, errors.New("nobody counts operations")
	}
	if err := ensureLeader(ctx, w, targets[0]); err != nil {
		return Seen{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	for {
		now := time.Now()
		young := w.Forwarded(w.dc, now, now) - w.Forwarded(w.dc, now.Add(-youngest), now)
		if young >= r.least() {
			return Seen{}, nil
		}
		if err := sleep(ctx, forwardedEvery); err != nil {
			return Seen{}, fmt.Errorf("waited for %s for %s, asked of other datacenters: %w", faults.Count(r.least(), "operation"), w.dc, err)
		}
	}
}

// countOperations counts those that began before the kill was asked for, and ended after the process was gone.
func (r RemoteLeaderKill) countOperations(_ context.Context, w World, _ Step, _ []string) (Seen, error) {
	n := max(w.Forwarded(w.dc, w.changeBegan, w.changeEnded), 0)
	return found(faults.Finding{About: "operations of other datacenters under way at the kill", Want: faults.AtLeast, Least: uint64(r.least()), Count: uint64(n),
		Words: fmt.Sprintf("%s for %s under way, forwarded by other datacenters", faults.Count(n, "operation"), w.dc)}), nil
}

func (r RemoteLeaderKill) Label() string {
	if r.Operations == 0 {
		return ""
	}
	return fmt.Sprintf("with %d operations", r.Operations)
}

// remote reports whether requests take their time from anywhere to a datacenter and back, so that some are under way.
func remote(t topologies.Topology, dc string) bool {
	for _, from := range t.Nodes() {
		for _, to := range t.Nodes() {
			if from.DC != dc && to.DC == dc && t.Link(from, to).Delay+t.Link(to, from).Delay < remoteDelay {
				return false
			}
		}
	}
	return true
}

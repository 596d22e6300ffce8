package agent

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes/agent/internal/gossip"
)

// reconcileInterval is how often the leader compares the peer set with gossip, beside whenever
// gossip changes; reconcileRetry is the interval while a server is about to be added.
const (
	reconcileInterval = 2 * time.Second
	reconcileRetry    = 100 * time.Millisecond
)

// reconcile keeps the peer set in step with gossip while the leadership lasts.
func (l *leadership) reconcile(ctx context.Context) {
	select { // before that Raft changes no configuration
	case <-l.ready:
	case <-ctx.Done():
		return
	}
	for {
		changed := l.s.a.gossip.Changed()
		timer := time.NewTimer(l.reconcileOnce(ctx))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// reconcileOnce makes all changes that are due and can be made, and returns the delay until the
// next comparison.
func (l *leadership) reconcileOnce(ctx context.Context) time.Duration {
	next := reconcileInterval
	peers := l.s.raft.GetConfiguration().Configuration().Servers
	for _, c := range changes(peers, l.s.a.gossip.Members(), l.s.a.id, l.s.a.RemoveDead) {
		if c.Action == promotePeer && l.s.a.defects[NeverPromotes] {
			continue
		}
		if !l.changeReady(ctx, c) {
			next = reconcileRetry
			continue
		}
		err := l.change(ctx, c)
		l.s.a.log.Info("peer set: change", "change", c, "error", err)
		if err != nil {
			return next
		}
		if c.Action == addPeer {
			next = reconcileRetry // to promote it
		}
	}
	return next
}

// peerChange is one step from the current peer set to the desired one.
type peerChange struct {
	Action peerAction
	ID     raft.ServerID
	Addr   raft.ServerAddress
}

type peerAction string

const (
	removePeer  peerAction = "remove"
	addPeer     peerAction = "add" // without a vote; or move a peer, which keeps its vote
	promotePeer peerAction = "promote"
)

func (l *leadership) change(ctx context.Context, c peerChange) error {
	const enqueue = time.Second
	switch c.Action {
	case removePeer:
		return l.s.await(ctx, l.s.raft.RemoveServer(c.ID, 0, enqueue))
	case addPeer:
		return l.s.await(ctx, l.s.raft.AddNonvoter(c.ID, c.Addr, 0, enqueue))
	}
	return l.s.await(ctx, l.s.raft.AddVoter(c.ID, c.Addr, 0, enqueue))
}

// changeReady reports whether a change can be made yet. A server that is added must answer:
// gossip detects a failure late, and a server that was removed as failed would be added again at
// once. A server that becomes a voter must have the log up to what was committed a moment ago:
// until it has, it would only make the majority harder to reach.
func (l *leadership) changeReady(ctx context.Context, c peerChange) bool {
	if c.Action == removePeer {
		return true
	}
	committed := l.s.raft.CommitIndex()
	status, err := l.s.statusOf(ctx, string(c.Addr))
	return err == nil && (c.Action == addPeer || status.Leader == l.s.a.rpcAddr() && status.Last >= committed)
}

// changes lists what to do: add servers that are alive and not peers, or are at another
// address, and promote those that have no vote yet; remove those that left, and with
// removeDead those that failed, and whoever else stands at the address of one that is
// alive. Removals come first, the leader itself is left alone.
func changes(peers []raft.Server, members []gossip.Member, self string, removeDead bool) (out []peerChange) {
	at := map[raft.ServerAddress]raft.ServerID{} // the alive server at an address
	gone := map[raft.ServerID]bool{}
	var alive []gossip.Member
	for _, m := range members {
		id := raft.ServerID(m.Tags.ID)
		switch {
		case !m.Tags.Server || m.Tags.ID == self:
		case m.Status == gossip.Alive && !m.Tags.Leaving:
			alive = append(alive, m)
			at[raft.ServerAddress(m.Tags.RPC)] = id
		case m.Tags.Leaving, removeDead:
			gone[id] = true
		}
	}
	for _, m := range alive { // a node that has been renamed leaves its old name behind
		delete(gone, raft.ServerID(m.Tags.ID))
	}
	known := map[raft.ServerID]raft.Server{}
	for _, p := range peers {
		if owner, taken := at[p.Address]; gone[p.ID] || taken && owner != p.ID && string(p.ID) != self {
			out = append(out, peerChange{Action: removePeer, ID: p.ID, Addr: p.Address})
			continue
		}
		known[p.ID] = p
	}
	for _, m := range alive {
		id, addr := raft.ServerID(m.Tags.ID), raft.ServerAddress(m.Tags.RPC)
		switch p, there := known[id]; {
		case !there || p.Address != addr:
			out = append(out, peerChange{Action: addPeer, ID: id, Addr: addr})
		case p.Suffrage != raft.Voter:
			out = append(out, peerChange{Action: promotePeer, ID: id, Addr: addr})
		}
	}
	return out
}

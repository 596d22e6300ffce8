package agent

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes/agent/internal/gossip"
)

// reconcileEvery is how often the leader compares, beside whenever gossip changes;
// lookAgain how soon while somebody is about to be taken in.
const (
	reconcileEvery = 2 * time.Second
	lookAgain      = 100 * time.Millisecond
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
		again := time.NewTimer(l.bringInStep(ctx))
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
		again.Stop()
	}
}

// bringInStep makes all changes that are due and can be made, and tells when to look again.
func (l *leadership) bringInStep(ctx context.Context) time.Duration {
	next := reconcileEvery
	peers := l.s.raft.GetConfiguration().Configuration().Servers
	for _, c := range changes(peers, l.s.a.gossip.Members(), l.s.a.id, l.s.a.RemoveDead) {
		if !l.ripe(ctx, c) {
			next = lookAgain
			continue
		}
		err := l.change(ctx, c)
		l.s.a.log.Info("peer set: change", "change", c, "error", err)
		if err != nil {
			return next
		}
		if c.Do == addPeer {
			next = lookAgain // to promote it
		}
	}
	return next
}

// peerChange is one step from the peer set that is to the one that should be.
type peerChange struct {
	Do   peerDo
	ID   raft.ServerID
	Addr raft.ServerAddress
}

type peerDo string

const (
	removePeer  peerDo = "remove"
	addPeer     peerDo = "add" // without a vote; or move a peer, which keeps its vote
	promotePeer peerDo = "promote"
)

func (l *leadership) change(ctx context.Context, c peerChange) error {
	const enqueue = time.Second
	switch c.Do {
	case removePeer:
		return l.s.await(ctx, l.s.raft.RemoveServer(c.ID, 0, enqueue))
	case addPeer:
		return l.s.await(ctx, l.s.raft.AddNonvoter(c.ID, c.Addr, 0, enqueue))
	}
	return l.s.await(ctx, l.s.raft.AddVoter(c.ID, c.Addr, 0, enqueue))
}

// ripe reports whether a change can be made yet. Who is taken in must answer: gossip takes
// its time to notice that a server is gone, and one that was removed for being gone would
// come back at once. Who is given a vote must have the log up to what was committed a
// moment ago: until it has, it would only make the majority harder to reach.
func (l *leadership) ripe(ctx context.Context, c peerChange) bool {
	if c.Do == removePeer {
		return true
	}
	committed := l.s.raft.CommitIndex()
	status, err := l.s.statusOf(ctx, string(c.Addr))
	return err == nil && (c.Do == addPeer || status.Leader == l.s.a.rpcAddr() && status.Last >= committed)
}

// changes lists what to do: add servers that are alive and not peers, or are at another
// address, and promote those that have no vote yet; remove those that left, and with
// removeDead those that failed, and whoever else stands at the address of one that is
// alive. Removals come first, the leader itself is left alone.
func changes(peers []raft.Server, members []gossip.Member, self string, removeDead bool) (out []peerChange) {
	at := map[raft.ServerAddress]raft.ServerID{} // who lives there now
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
			out = append(out, peerChange{Do: removePeer, ID: p.ID, Addr: p.Address})
			continue
		}
		known[p.ID] = p
	}
	for _, m := range alive {
		id, addr := raft.ServerID(m.Tags.ID), raft.ServerAddress(m.Tags.RPC)
		switch p, there := known[id]; {
		case !there || p.Address != addr:
			out = append(out, peerChange{Do: addPeer, ID: id, Addr: addr})
		case p.Suffrage != raft.Voter:
			out = append(out, peerChange{Do: promotePeer, ID: id, Addr: addr})
		}
	}
	return out
}

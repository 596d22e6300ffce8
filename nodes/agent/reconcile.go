package agent

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes/agent/gossip"
)

// reconcileEvery is how often the leader compares, beside whenever gossip changes.
const reconcileEvery = 2 * time.Second

// reconcile keeps the peer set in step with gossip while the leadership lasts.
func (l *leadership) reconcile(ctx context.Context) {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	select { // before that Raft changes no configuration
	case <-l.ready:
	case <-ctx.Done():
		return
	}
	for {
		changed := l.s.a.gossip.Changed()
		peers := l.s.raft.GetConfiguration().Configuration().Servers
		for _, c := range changes(peers, l.s.a.gossip.Members(), l.s.a.id, l.s.a.RemoveDead) {
			if err := l.change(ctx, c); err != nil {
				l.s.a.log.Warn("peer set: not changed", "change", c, "error", err)
				break
			}
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// peerChange is one step from the peer set that is to the one that should be.
type peerChange struct {
	ID     raft.ServerID
	Addr   raft.ServerAddress
	Remove bool
}

func (l *leadership) change(ctx context.Context, c peerChange) error {
	const enqueue = time.Second
	if c.Remove {
		return l.s.await(ctx, l.s.raft.RemoveServer(c.ID, 0, enqueue))
	}
	return l.s.await(ctx, l.s.raft.AddVoter(c.ID, c.Addr, 0, enqueue))
}

// changes lists what to do: add servers that are alive and not peers, or are at another
// address; remove those that left, and with removeDead those that failed, and whoever
// else stands at the address of one that is alive. Removals come first, the leader
// itself is left alone.
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
	known := map[raft.ServerID]raft.ServerAddress{}
	for _, p := range peers {
		if owner, taken := at[p.Address]; gone[p.ID] || taken && owner != p.ID && string(p.ID) != self {
			out = append(out, peerChange{ID: p.ID, Remove: true})
			continue
		}
		known[p.ID] = p.Address
	}
	for _, m := range alive {
		if id, addr := raft.ServerID(m.Tags.ID), raft.ServerAddress(m.Tags.RPC); known[id] != addr {
			out = append(out, peerChange{ID: id, Addr: addr})
		}
	}
	return out
}

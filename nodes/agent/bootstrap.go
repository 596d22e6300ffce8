package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/rpc"
)

// bootstrap makes the first peer set, as Consul does: when gossip knows as many servers
// as are expected, and none of them has state, each of them makes the same set. State is
// any entry beyond that first peer set, so a server that comes back without its disk makes
// none while another still has its own; if it cannot ask all of them, it makes none either.
// It ends when there is a peer set, made here or received from a leader.
func (s *server) bootstrap(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	said := ""
	for len(s.raft.GetConfiguration().Configuration().Servers) == 0 {
		err := s.tryBootstrap(ctx)
		switch {
		case err == nil || errors.Is(err, raft.ErrCantBootstrap): // a leader was first
			s.a.log.Info("bootstrap: there is a peer set", "error", err)
			return
		case err.Error() != said:
			said = err.Error()
			s.a.log.Info("bootstrap: waiting", "for", said)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) tryBootstrap(ctx context.Context) error {
	set, err := firstPeers(s.a.gossip.Members(), s.a.BootstrapExpect)
	if err != nil {
		return err
	}
	for _, p := range set.Servers {
		if string(p.ID) == s.a.id {
			continue
		}
		if err := s.hasNoState(ctx, p, set); err != nil {
			return err
		}
	}
	return s.await(ctx, s.raft.BootstrapCluster(set))
}

// firstPeers is the peer set that these members make, if they are complete.
func firstPeers(members []gossip.Member, expect int) (raft.Configuration, error) {
	var set raft.Configuration
	for _, m := range members {
		switch {
		case !m.Tags.Server || m.Status == gossip.Left:
		case m.Tags.Expect != expect:
			return set, fmt.Errorf("%s to expect %d servers too, not %d", m.Name, expect, m.Tags.Expect)
		default:
			set.Servers = append(set.Servers, raft.Server{Suffrage: raft.Voter,
				ID: raft.ServerID(m.Tags.ID), Address: raft.ServerAddress(m.Tags.RPC)})
		}
	}
	// With more than expected, two servers could choose differently.
	if len(set.Servers) != expect {
		return set, fmt.Errorf("exactly %d servers; there are %d", expect, len(set.Servers))
	}
	slices.SortFunc(set.Servers, func(a, b raft.Server) int { return cmp.Compare(a.ID, b.ID) })
	return set, nil
}

// hasNoState asks a server, and fails unless it has at most made the same peer set a moment
// earlier. Each server has to make the set, for a server without one does not vote.
func (s *server) hasNoState(ctx context.Context, p raft.Server, set raft.Configuration) error {
	status, err := s.statusOf(ctx, string(p.Address))
	if err != nil {
		return fmt.Errorf("an answer of %s", p.Address)
	}
	const firstEntry = 1 // holds the first peer set
	if status.Last > firstEntry || len(status.Servers) > 0 && !status.lists(set) {
		return fmt.Errorf("the leader of the peer set that %s has", p.Address)
	}
	return nil
}

// statusOf asks the server at addr and no other.
func (s *server) statusOf(ctx context.Context, addr string) (status statusReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	response, err := s.a.call(ctx, addr, rpc.Request{Method: statusMethod.name, Final: true, Body: rpc.Encode(none{})})
	if err != nil {
		return status, err
	}
	return status, rpc.Decode(response.Body, &status)
}

// lists reports whether the peer set is exactly this one.
func (r statusReply) lists(set raft.Configuration) bool {
	return len(r.Servers) == len(set.Servers) && !slices.ContainsFunc(set.Servers, func(p raft.Server) bool {
		return !slices.ContainsFunc(r.Servers, func(q peerInfo) bool {
			return q.ID == string(p.ID) && q.Address == string(p.Address) && q.Voter == (p.Suffrage == raft.Voter)
		})
	})
}

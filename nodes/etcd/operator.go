package etcd

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

var (
	_ nodes.Leaders = (*client)(nil)
	_ nodes.Leaver  = (*client)(nil)
	_ nodes.Members = (*client)(nil)
)

// Identity is the node's member ID, in hex.
func (c *client) Identity(ctx context.Context) (string, error) {
	s, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	return hex(s.Header.MemberID), nil
}

// Peers are the members as the node knows them.
func (c *client) Peers(ctx context.Context) ([]nodes.Peer, error) {
	members, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	raft, err := c.raft(ctx)
	if err != nil {
		return nil, err
	}
	var peers []nodes.Peer
	for _, m := range members {
		at, err := url.Parse(m.PeerURLs[0])
		if err != nil {
			return nil, nodes.Errorf(history.Unknown, "a member's peer URL: %v", err)
		}
		peers = append(peers, nodes.Peer{ID: hex(m.ID), Node: m.Name, Address: at.Host, Voter: !m.IsLearner, Leader: m.ID == raft.Lead})
	}
	return peers, nil
}

// RemovePeer removes a member.
func (c *client) RemovePeer(ctx context.Context, id string) error {
	member, err := parseID(id)
	if err != nil {
		return nodes.Errorf(history.BadRequest, "the member %q: %v", id, err)
	}
	return c.remove(ctx, member)
}

// Leave removes the node from the members. etcd then ends by itself.
func (c *client) Leave(ctx context.Context) error {
	s, err := c.status(ctx)
	if err != nil {
		return err
	}
	return c.remove(ctx, s.Header.MemberID)
}

// remove waits until newcomers have started: they were given the list of members as it is. It asks again while
// etcd refuses, which is definite: for 5 s after a member has connected (HealthInterval in etcdserver/server.go).
func (c *client) remove(ctx context.Context, id uint64) error {
	unlock, err := c.system.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	members, err := c.awaitStarted(ctx, id)
	if err != nil {
		return err
	}
	for {
		err := c.call(ctx, "/v3/cluster/member/remove", memberRequest{ID: id}, &membersAnswer{})
		if err == nil || !nodes.CodeOf(err).Definite() {
			c.system.removed(members, id)
		}
		if err == nil || nodes.CodeOf(err) != history.NotReady || sleep(ctx, retryEvery) != nil {
			return err
		}
	}
}

const (
	// startWithin is for a newcomer to start. One that has not by then will not, and is waited for no longer.
	startWithin = 6 * time.Second
	startPoll   = 100 * time.Millisecond
)

// awaitStarted waits until all members but one have started: they have names then. It returns them.
func (c *client) awaitStarted(ctx context.Context, but uint64) ([]member, error) {
	for deadline := time.Now().Add(startWithin); ; {
		members, err := c.members(ctx)
		if err != nil {
			// Nothing was asked for yet: it is definite that nothing took effect.
			return nil, nodes.Errorf(history.NotReady, "the members are not known: %v", err)
		}
		started := !slices.ContainsFunc(members, func(m member) bool { return m.Name == "" && m.ID != but })
		if started || time.Now().After(deadline) {
			return members, nil
		}
		if err := sleep(ctx, startPoll); err != nil {
			return nil, nodes.Errorf(history.NotReady, "a newcomer has not started: %v", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Transfer hands leadership over: to a member by name, or to the one whose log is the longest.
func (c *client) Transfer(ctx context.Context, to string) error {
	raft, err := c.raft(ctx)
	if err != nil {
		return err
	}
	if raft.State != history.Leader {
		return nodes.Errorf(history.NotLeader, "the member %s is no leader but a %s", hex(raft.ID), raft.State)
	}
	members, err := c.list(ctx)
	if err != nil {
		return nodes.Errorf(history.NotReady, "the members are not known: %v", err)
	}
	target, err := successor(raft, members, to)
	if err != nil {
		return nodes.Errorf(history.BadRequest, "%v", err)
	}
	_, err = c.post(ctx, "/v3/maintenance/transfer-leadership", transferRequest{Target: target}) // the answer is empty
	return err
}

// successor is a voter beside the leader: that name, or whose log is known to be the longest.
func successor(leader raftStatus, members []member, name string) (uint64, error) {
	var best *member
	for i := range members {
		m := &members[i]
		if m.ID == leader.ID || m.IsLearner || m.Name == "" || name != "" && m.Name != name {
			continue
		}
		if best == nil || leader.Match[m.ID] > leader.Match[best.ID] {
			best = m
		}
	}
	if best == nil {
		return 0, fmt.Errorf("no other voter %s", name)
	}
	return best.ID, nil
}

package systemtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

func testAbilities(t *testing.T, c *cluster) {
	for node, conn := range c.conns {
		_, leaders := nodes.AsLeaders(conn)
		require.Equal(t, c.facts.Can(history.TransfersLeader), leaders, "%s: Leaders", node)
		_, leaver := nodes.AsLeaver(conn)
		require.Equal(t, c.facts.Can(history.LeavesCluster), leaver, "%s: Leaver", node)
		_, members := nodes.AsMembers(conn)
		require.Equal(t, c.facts.Can(history.ChangesMembers), members, "%s: Members", node)
	}
}

func testLeaders(t *testing.T, c *cluster) {
	leader := c.leader()
	if !c.facts.Can(history.ObservesLogs) {
		return
	}
	before, err := c.conns[leader].Observe(t.Context())
	require.NoError(t, err)
	require.Positive(t, before.Term)
	require.Positive(t, before.Commit)
	c.must(leader, c.anything())
	c.eventually(answers, "the log grows", func() error {
		after, err := c.conns[leader].Observe(t.Context())
		if err == nil && (after.Commit <= before.Commit || after.Applied <= before.Applied) {
			err = fmt.Errorf("committed is %d, applied %d, as before a write", after.Commit, after.Applied)
		}
		return err
	})
}

func testTransfer(t *testing.T, c *cluster) {
	leader := c.leader()
	other := c.servers[(slices.Index(c.servers, leader)+1)%len(c.servers)]
	leaders, _ := nodes.AsLeaders(c.conns[leader])
	c.eventually(c.subject.Recovers, "leadership goes to "+other, func() error {
		if now := c.leader(); now != leader {
			if now == other {
				return nil
			}
			leader = now
			leaders, _ = nodes.AsLeaders(c.conns[leader])
		}
		ctx, cancel := context.WithTimeout(t.Context(), answers)
		defer cancel()
		if err := leaders.Transfer(ctx, other); err != nil {
			return err
		}
		if now := c.leader(); now != other {
			return fmt.Errorf("%s leads", now)
		}
		return nil
	})
}

func testMembers(t *testing.T, c *cluster) {
	leader := c.leader()
	victim := c.servers[(slices.Index(c.servers, leader)+1)%len(c.servers)]
	before := c.identity(victim)
	c.votes(victim, before)

	c.set(map[string]faults.ProcessState{victim: faults.Killed})
	members, _ := nodes.AsMembers(c.conns[c.anyLeader(victim)])
	ctx, cancel := context.WithTimeout(t.Context(), c.subject.Recovers)
	defer cancel()
	require.NoError(t, members.RemovePeer(ctx, before))
	c.gone(before, victim)
	c.set(nil)
	c.serves()
	c.votes(victim, c.identity(victim))

	old := c.identity(victim)
	c.set(map[string]faults.ProcessState{victim: faults.Wiped})
	c.set(nil)
	c.serves()
	fresh := c.identity(victim)
	require.NotEqual(t, old, fresh, "it came back with an empty disk")
	c.votes(victim, fresh)
	c.gone(old, "")

	if !c.facts.Can(history.LeavesCluster) {
		return
	}
	leaver, _ := nodes.AsLeaver(c.conns[victim])
	if err := leaver.Leave(ctx); err != nil {
		require.False(t, nodes.CodeOf(err).Definite(), "%v", err)
	}
	require.NoError(t, c.Exited(ctx, victim))
	c.set(map[string]faults.ProcessState{victim: faults.Killed})
	c.gone(fresh, victim)
	c.set(nil)
	c.serves()
	c.votes(victim, c.identity(victim))
}

// anyLeader is the leader when a node is not there.
func (c *cluster) anyLeader(without string) (leader string) {
	c.t.Helper()
	c.eventually(c.subject.Recovers, "a leader without "+without, func() error {
		for _, node := range c.servers {
			if node == without {
				continue
			}
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			seen, err := c.conns[node].Observe(ctx)
			cancel()
			if err == nil && seen.State == history.Leader {
				leader = node
				return nil
			}
		}
		return fmt.Errorf("nobody leads")
	})
	return leader
}

func (c *cluster) identity(node string) (id string) {
	c.t.Helper()
	c.eventually(c.subject.Recovers, node+" has an identity", func() (err error) {
		members, _ := nodes.AsMembers(c.conns[node])
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		id, err = members.Identity(ctx)
		return err
	})
	require.NotEmpty(c.t, id)
	return id
}

func (c *cluster) peers(without string) ([]nodes.Peer, error) {
	members, _ := nodes.AsMembers(c.conns[c.anyLeader(without)])
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	return members.Peers(ctx)
}

// votes waits until a node is a voter of that identity, and all servers are.
func (c *cluster) votes(node, id string) {
	c.t.Helper()
	c.eventually(c.subject.Recovers, node+" votes", func() error {
		peers, err := c.peers("")
		if err != nil {
			return err
		}
		if len(peers) != len(c.servers) {
			return fmt.Errorf("the peers are %v", peers)
		}
		for _, p := range peers {
			if p.ID == id {
				if p.Node != node || !p.Voter {
					return fmt.Errorf("the peer is %+v", p)
				}
				return nil
			}
		}
		return fmt.Errorf("%s (%s) is none of the peers %v", node, id, peers)
	})
}

func (c *cluster) gone(id, down string) {
	c.t.Helper()
	c.eventually(c.subject.Recovers, id+" is no peer", func() error {
		peers, err := c.peers(down)
		if err == nil && slices.ContainsFunc(peers, func(p nodes.Peer) bool { return p.ID == id }) {
			err = fmt.Errorf("it is one of %v", peers)
		}
		return err
	})
}

package agent

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// renew starts a node that has ended on an empty directory.
func (c *cluster) renew(n *node) *node {
	n.dir = c.t.TempDir()
	n = c.restart(n)
	<-n.agent.Up()
	return n
}

// A server that lost its disk comes back at its address as somebody new, who gets a vote
// once it has the log, and takes the place of who was there.
func TestAWipedServerIsSomebodyNew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		lost := c.followers(t)[0]
		c.leader(t).put(t, "k", "1")
		old := lost.agent.id
		lost.stop(t)
		lost = c.renew(lost)
		c.leader(t).awaitVoters(t, c.servers()...)
		require.NotEqual(t, old, lost.agent.id)
		lost.awaitValue(t, "k", "1")
	})
}

// awaitVoters waits until the leader's peer set is of these servers, by identity, and all
// of them vote.
func (n *node) awaitVoters(t *testing.T, voters ...*node) {
	t.Helper()
	var want []string
	for _, v := range voters {
		<-v.agent.Up() // then it knows who it is
		want = append(want, v.agent.id)
	}
	slices.Sort(want)
	eventually(t, "the voters", func() error {
		var got []string
		for _, v := range n.agent.server.Load().voters() {
			got = append(got, string(v.ID))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("voters %v, not %v", got, want)
		}
		return nil
	})
}

// behind makes the cluster that the doc of transportFilter describes: what a and c have acknowledged, b lacks;
// then c loses its disk, and b and c are left to themselves.
func behind(t *testing.T, defect ...string) (c *cluster, a, b *node) {
	c = startCluster(t, 3, 0, func(config *Config) { config.DefectNames = defect })
	a, b = c.leader(t), c.followers(t)[0]
	lost := c.followers(t)[1]
	a.put(t, "k", "old")
	b.awaitValue(t, "k", "old")
	c.wire.cut(b.host.ip, ips(c.nodes, b)...)
	a.put(t, "k", "new")
	lost.stop(t)
	a.stop(t)
	c.wire.heal()
	c.renew(lost)
	return c, a, b
}

func TestAnEmptyServerGivesNoVote(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, a, b := behind(t)
		// As good as forever: the other test's server leads after a few of these.
		for end := time.Now().Add(10 * testTimes.Election); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			_, leads := b.agent.server.Load().leading()
			require.False(t, leads, "without the entry that a and c have acknowledged")
		}
		c.restart(a)
		c.leader(t).awaitVoters(t, c.servers()...)
		require.Equal(t, "new", string(c.leader(t).get(t, "k", "consistent").Value))
	})
}

func TestRejoinsWithEmptyLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, _, _ := behind(t, RejoinsWithEmptyLog)
		require.Equal(t, "old", string(c.leader(t).get(t, "k", "consistent").Value), "what was acknowledged is lost")
	})
}

// Two of three lose their disks. They find each other, and who is left has a past, whether
// or not it can be asked: they make no cluster of their own.
func TestTheEmptyMakeNoSecondCluster(t *testing.T) {
	for _, reachable := range []bool{true, false} {
		t.Run(fmt.Sprint(reachable), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 3, 0)
				left := c.leader(t)
				left.put(t, "k", "1")
				lost := c.followers(t)
				for _, n := range lost {
					n.stop(t)
				}
				for i, n := range lost {
					lost[i] = c.renew(n)
				}
				eventually(t, "all know of each other", func() error {
					for _, n := range lost {
						if len(n.agent.gossip.Members()) < 3 {
							return errors.New("not yet")
						}
					}
					return nil
				})
				if !reachable {
					c.wire.cut(left.host.ip, ips(c.nodes, left)...)
				}
				for end := time.Now().Add(5 * testTimes.Election); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					for _, n := range lost {
						s := n.agent.server.Load()
						if s == nil {
							continue
						}
						set := s.raft.GetConfiguration().Configuration().Servers
						require.True(t, len(set) == 0 || slices.ContainsFunc(set, func(p raft.Server) bool {
							return string(p.ID) == left.agent.id
						}), "%s has the peer set %v", n.name, set)
					}
				}
			})
		})
	}
}

// An operator removes a server that is gone, before gossip knows that it is. It stays out
// until it is back.
func TestRemovePeer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 1)
		gone, client := c.followers(t)[0], c.nodes[3]
		require.Equal(t, http.StatusBadRequest, client.do(t, "DELETE", "/v1/operator/raft/peer", "").status)
		require.Equal(t, http.StatusNotFound, client.do(t, "DELETE", "/v1/operator/raft/peer?id=nobody", "").status)
		require.Equal(t, http.StatusBadRequest, client.do(t, "DELETE", "/v1/operator/raft/peer?id="+c.leader(t).agent.id, "").status)
		gone.stop(t)
		a := client.do(t, "DELETE", "/v1/operator/raft/peer?id="+gone.agent.id, "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		leader := c.leader(t)
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			require.Len(t, leader.agent.server.Load().voters(), 2, "though gossip may still know it alive")
		}
		id := gone.agent.id
		gone = c.restart(gone)
		leader.awaitVoters(t, c.servers()...)
		require.Equal(t, id, gone.agent.id)
		// Once more, by address and while it is there: the leader takes it in again.
		require.Equal(t, http.StatusOK, client.do(t, "DELETE", "/v1/operator/raft/peer?address="+gone.agent.rpcAddr(), "").status)
		c.leader(t).awaitVoters(t, c.servers()...)
	})
}

// A newcomer has no vote while it lacks the log: here nothing reaches it but calls.
func TestNobodyVotesBeforeHavingTheLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		leader := c.leader(t)
		leader.put(t, "k", "1")
		spare := c.start(c.config("s2", 2, 1), t.TempDir(), func(config *Config) { config.BootstrapExpect = 0 })
		leader.awaitVoters(t, leader, spare)
		l := leader.leadership()
		ripe := func() bool {
			return l.changeReady(t.Context(), peerChange{Action: promotePeer, ID: "", Addr: raft.ServerAddress(spare.agent.rpcAddr())})
		}
		eventually(t, "it has the log", func() error {
			if !ripe() {
				return errors.New("not yet")
			}
			return nil
		})
		stranger := newClusterOn(t, c.wire, "10.0.1.")
		other := stranger.start(stranger.config("s1", 1, 1), t.TempDir())
		stranger.leader(t)
		for range 50 { // so that its log is longer
			other.put(t, "k", "2")
		}
		require.False(t, l.changeReady(t.Context(), peerChange{Action: promotePeer, Addr: raft.ServerAddress(other.agent.rpcAddr())}), "it follows another leader")
		require.True(t, l.changeReady(t.Context(), peerChange{Action: addPeer, Addr: raft.ServerAddress(other.agent.rpcAddr())}), "it answers")
		other.stop(t)
		require.False(t, l.changeReady(t.Context(), peerChange{Action: addPeer, Addr: raft.ServerAddress(other.agent.rpcAddr())}), "it does not")
	})
}

package agent

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/lease"
)

// The leader goes, another rises; it comes back and needs a snapshot, since the log no
// longer reaches back so far. Then all go at once: what was acknowledged is on the disks.
func TestFailoverAndRestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 1, func(config *Config) {
			config.Snapshots = SnapshotAge{Interval: 50 * time.Millisecond, Threshold: 16, Trailing: 4}
		})
		client := c.nodes[3]
		client.put(t, "a", "1")
		old := c.leader(t)
		old.stop(t)
		for i := range 60 {
			client.put(t, "b", strconv.Itoa(i))
		}
		awaitSnapshot(t, c.leader(t))
		require.Equal(t, "1", string(client.get(t, "a", "consistent").Value))
		old = c.restart(old)
		old.awaitValue(t, "b", "59")
		old.awaitValue(t, "a", "1")

		before := client.get(t, "b", "")
		all := c.servers()
		for _, n := range all {
			n.stop(t)
		}
		for _, n := range all {
			c.restart(n)
		}
		c.leader(t)
		require.Equal(t, before, client.get(t, "b", "consistent"), "with its indexes")
		require.Equal(t, "1", string(client.get(t, "a", "").Value))
	})
}

func awaitSnapshot(t *testing.T, n *node) {
	t.Helper()
	eventually(t, n.name+" has a snapshot", func() error {
		names, err := n.host.Disk().ReadDir("raft/snapshots")
		if err == nil && len(names) == 0 {
			return errors.New("there is none")
		}
		return err
	})
}

// Raft keeps silent after a restart until all that it may have promised is over; calls
// are refused meanwhile, definitely. The API answers already.
func TestRestartedVoterKeepsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		n := c.nodes[0]
		n.put(t, "a", "1")
		n.stop(t)
		begun := time.Now()
		n = c.restart(n)
		<-n.agent.Up()
		a := n.do(t, "GET", "/v1/kv/a?stale", "") // held until the server is there; what it holds is not applied yet
		require.Contains(t, []int{http.StatusOK, http.StatusNotFound}, a.status, a.body)
		require.GreaterOrEqual(t, time.Since(begun), lease.Silence(testTimes.Heartbeat))
		require.Equal(t, "1", string(n.get(t, "a", "").Value))
		n.stop(t)
		n = c.restart(n)
		n.stop(t) // during the silence
	})
}

func TestRestartAtAnotherAddress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		n := c.followers(t)[0]
		id := n.agent.id
		c.leader(t).put(t, "a", "1")
		n.stop(t)
		n = c.restart(n, func(config *Config) {
			moved := c.config("", 9, 3)
			config.Bind, config.Client = moved.Bind, moved.Client
		})
		c.leader(t).awaitPeers(t, c.servers()...)
		require.Equal(t, id, n.agent.id)
		c.leader(t).put(t, "a", "2")
		n.awaitValue(t, "a", "2")
	})
}

func TestLeaveAndRejoin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 1)
		client := c.nodes[3]
		for i, choose := range []func() *node{
			func() *node { return c.followers(t)[0] },
			func() *node { return c.leader(t) },
		} {
			gone := choose()
			require.Equal(t, http.StatusOK, gone.do(t, "PUT", "/v1/agent/leave", "").status)
			gone.awaitEnd(t)
			client.awaitPeers(t, c.servers()...)
			require.Len(t, c.servers(), 2)
			eventually(t, gone.name+" is known to have left", func() error { return client.sees(t, gone.name, 3) })
			value := fmt.Sprint("while ", i)
			client.put(t, "a", value)

			gone = c.restart(gone)
			client.awaitPeers(t, c.servers()...)
			gone.awaitValue(t, "a", value)
		}
		require.Equal(t, http.StatusOK, client.do(t, "PUT", "/v1/agent/leave", "").status)
		client.awaitEnd(t)
		n := c.leader(t)
		eventually(t, "the client agent is known to have left", func() error { return n.sees(t, client.name, 3) })
	})
}

// sees compares what a member has become, in Serf's numbers.
func (n *node) sees(t *testing.T, name string, status int) error {
	members := decode[[]jsonMember](t, n.do(t, "GET", "/v1/agent/members", "").body)
	i := slices.IndexFunc(members, func(m jsonMember) bool { return m.Name == name })
	if i < 0 || members[i].Status != status {
		return fmt.Errorf("members %v", members)
	}
	return nil
}

func TestTheDeadStayPeersUnlessTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, remove := range []bool{false, true} {
			c := startCluster(t, 3, 0, func(config *Config) { config.RemoveDead = remove })
			all, dead := c.servers(), c.followers(t)[0]
			dead.stop(t)
			leader := c.leader(t)
			eventually(t, dead.name+" is known to have failed", func() error { return leader.sees(t, dead.name, 4) })
			if remove {
				leader.awaitPeers(t, c.servers()...)
			} else {
				leader.awaitPeers(t, all...)
			}
		}
	})
}

// A server that once led and stepped down ends when it is asked to leave.
func TestDeposedLeaderEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		old := c.leader(t)
		old.do(t, "PUT", "/v1/operator/raft/transfer-leader", "")
		require.NotSame(t, old, c.leader(t))
		old.stop(t)
		c.leader(t).put(t, "a", "1")
	})
}

func TestDirectoryInUse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		n := c.nodes[0]
		second, err := New(n.host, c.config("other", 2, 1))
		require.NoError(t, err)
		require.ErrorContains(t, second.Run(t.Context()), "in use")
		n.put(t, "a", "1") // the first is not disturbed
	})
}

package agent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/workloads/history"
)

func TestAWriteIsRepeatedOnlyIfItLeftNoEffect(t *testing.T) {
	for _, code := range history.Codes() {
		err := nodes.Errorf(code, "")
		for _, across := range []bool{false, true} {
			if shouldRetry(false, across, err, nil) {
				require.True(t, code.Definite(), code)
			}
		}
		if code.Final() {
			require.False(t, shouldRetry(true, false, err, defects{ForwardRetryDoubles: true}), "%s: the answer would be the same", code)
			require.False(t, shouldFailover(err), code)
		}
		if !code.Definite() {
			require.True(t, shouldRetry(true, false, err, nil), "a read is repeated after %s", code)
			require.True(t, shouldRetry(false, false, err, defects{ForwardRetryDoubles: true}), "the defect, after %s", code)
			require.False(t, shouldRetry(false, false, err, defects{WANRetryDoubles: true}), "the defect is about other datacenters")
			require.True(t, shouldRetry(false, true, err, defects{WANRetryDoubles: true}), "the defect, after %s", code)
		}
		for _, unconnected := range []history.Code{history.NoLeader, history.NoServer, history.DCDown, history.DCFailed} {
			last := nodes.CodeOf(lastError(err, unconnected))
			require.Equal(t, code.Definite(), last.Definite(), "%s: the last error is as definite", code)
			require.Equal(t, code == history.Unreachable || code == history.Refused, last == unconnected && last != code && code != history.NotLeader, "%s becomes %s", code, last)
		}
	}
	for _, code := range []history.Code{history.NoPath, history.DCDown, history.DCFailed} {
		require.False(t, shouldRetry(true, true, nodes.Errorf(code, ""), nil), "%s: this agent has tried what it can", code)
		require.True(t, shouldFailover(nodes.Errorf(code, "")), "%s: another server may know better", code)
	}
	require.False(t, shouldRetry(false, false, errors.New("of no table"), nil))
}

func TestErrorsOfRaft(t *testing.T) {
	for err, definite := range map[error]bool{
		raft.ErrNotLeader:                    true,
		raft.ErrEnqueueTimeout:               true,
		raft.ErrLeadershipTransferInProgress: true,
		raft.ErrLeadershipLost:               false,
		raft.ErrRaftShutdown:                 false,
		raft.ErrAbortedByRestore:             false,
		context.DeadlineExceeded:             false,
		context.Canceled:                     false,
		errors.New("disk full"):              false,
	} {
		require.Equal(t, definite, nodes.CodeOf(raftError(err)).Definite(), "%v", err)
	}
}

func TestDefectsAreSortedAndTold(t *testing.T) {
	require.True(t, slices.IsSortedFunc(Defects, func(a, b Defect) int { return strings.Compare(a.Name, b.Name) }))
	for _, d := range Defects {
		require.NotEmpty(t, d.Doc, d.Name)
		require.NotEmpty(t, d.Report, d.Name)
	}
}

func member(name, id, rpc string, status gossip.Status) gossip.Member {
	return gossip.Member{Name: name, Addr: netip.MustParseAddrPort(rpc), Status: status,
		Tags: gossip.Tags{Server: true, ID: id, RPC: rpc, Expect: 3, Leaving: status == gossip.Left}}
}

func TestPeerSetFollowsGossip(t *testing.T) {
	const one, two, three = "10.0.0.1:8300", "10.0.0.2:8300", "10.0.0.3:8300"
	peers := []raft.Server{{ID: "a", Address: one}, {ID: "b", Address: two}}
	self := member("a", "a", one, gossip.Alive)
	for name, c := range map[string]struct {
		members    []gossip.Member
		removeDead bool
		nonvoter   string // a third peer, at three
		want       []peerChange
	}{
		"in step":              {members: []gossip.Member{self, member("b", "b", two, gossip.Alive)}},
		"one joined":           {members: []gossip.Member{self, member("b", "b", two, gossip.Alive), member("c", "c", three, gossip.Alive)}, want: []peerChange{{addPeer, "c", three}}},
		"one moved":            {members: []gossip.Member{self, member("b", "b", three, gossip.Alive)}, want: []peerChange{{addPeer, "b", three}}},
		"one left":             {members: []gossip.Member{self, member("b", "b", two, gossip.Left)}, want: []peerChange{{removePeer, "b", two}}},
		"one failed":           {members: []gossip.Member{self, member("b", "b", two, gossip.Failed)}},
		"the dead are removed": {members: []gossip.Member{self, member("b", "b", two, gossip.Failed)}, removeDead: true, want: []peerChange{{removePeer, "b", two}}},
		"one without a vote":   {members: []gossip.Member{self, member("c", "c", three, gossip.Alive)}, nonvoter: "c", want: []peerChange{{promotePeer, "c", three}}},
		"gone before its vote": {members: []gossip.Member{self, member("c", "c", two, gossip.Failed)}, nonvoter: "c"},
		"its directory is new": {members: []gossip.Member{self, member("b", "c", two, gossip.Alive)}, want: []peerChange{{removePeer, "b", two}, {addPeer, "c", two}}},
		"not heard of yet":     {members: []gossip.Member{self}},
		"the leader itself":    {members: []gossip.Member{member("a", "a", three, gossip.Left)}},
	} {
		peers := slices.Clone(peers)
		if c.nonvoter != "" {
			peers = append(peers, raft.Server{Suffrage: raft.Nonvoter, ID: raft.ServerID(c.nonvoter), Address: three})
		}
		require.Equal(t, c.want, changes(peers, c.members, "a", c.removeDead), name)
	}
}

func TestFirstPeers(t *testing.T) {
	all := []gossip.Member{member("a", "2", "10.0.0.1:8300", gossip.Alive), member("b", "1", "10.0.0.2:8300", gossip.Alive),
		member("c", "3", "10.0.0.3:8300", gossip.Alive)}
	set, err := firstPeers(all, 3)
	require.NoError(t, err)
	slices.Reverse(all)
	again, err := firstPeers(all, 3)
	require.NoError(t, err)
	require.Equal(t, set, again, "every server makes the same set")

	_, err = firstPeers(all[:2], 3)
	require.ErrorContains(t, err, "there are 2")
	_, err = firstPeers(append(all, member("d", "4", "10.0.0.4:8300", gossip.Alive)), 3)
	require.ErrorContains(t, err, "there are 4")
	all[0].Tags.Expect = 5
	_, err = firstPeers(all, 3)
	require.ErrorContains(t, err, "expect 3")
}

func TestPick(t *testing.T) {
	members := []gossip.Member{member("a", "1", "10.0.0.1:1", gossip.Failed), member("b", "2", "10.0.0.2:1", gossip.Alive),
		member("c", "3", "10.0.0.3:1", gossip.Alive), member("d", "4", "10.0.0.4:1", gossip.Left)}
	for index, want := range []string{"10.0.0.2:1", "10.0.0.3:1", "10.0.0.2:1"} {
		addr, ok := pickServer(members, uint64(index))
		require.True(t, ok)
		require.Equal(t, want, addr)
	}
	addr, ok := pickServer(members[:1], 7)
	require.True(t, ok, "gossip may be mistaken about who failed")
	require.Equal(t, "10.0.0.1:1", addr)
	_, ok = pickServer(nil, 0)
	require.False(t, ok)
}

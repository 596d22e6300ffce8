package etcd

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

const threeMembers = `{` + someHeader + `,"members":[
	{"ID":"16","name":"dc1-s1","peerURLs":["http://10.0.0.1:2380"]},
	{"ID":"17","name":"dc1-s2","peerURLs":["http://10.0.0.2:2380"]},
	{"ID":"18","peerURLs":["http://10.0.0.3:2380"],"isLearner":true}]}`

func statusOf(term, applied uint64) said {
	return said{path: "/v3/maintenance/status", answer: fmt.Sprintf(`{%s,"leader":"16","raftIndex":"90","raftTerm":"%d","raftAppliedIndex":"%d"}`, someHeader, term, applied)}
}

func varsOf(state string, term, applied uint64, progress string) said {
	return said{path: "/debug/vars", answer: fmt.Sprintf(
		`{"cmdline":["etcd"],"raft.status": {"id":"10","term":%d,"vote":"10","commit":95,"lead":"10","raftState":%q,"applied":%d,"progress":{%s},"leadtransferee":"0"},"memstats":{}}`,
		term, state, applied, progress)}
}

func TestObserve(t *testing.T) {
	members := said{path: "/v3/cluster/member/list", answer: threeMembers}
	leads := varsOf("StateLeader", 5, 92, `"10":{"match":97,"next":98,"state":"StateReplicate"},"11":{"match":90,"next":98,"state":"StateProbe"}`)
	for _, c := range []struct {
		name string
		all  []said
		want history.Observation
	}{
		{"a leader", []said{statusOf(5, 90), statusOf(5, 91), leads, members},
			history.Observation{State: history.Leader, Leader: "dc1-s1", Term: 5, Commit: 95, Applied: 92, Last: 97}},
		{"a leader that has committed nothing in its term", []said{statusOf(4, 90), statusOf(4, 91), leads, members},
			history.Observation{State: history.Leader, Leader: "dc1-s1", Commit: 95, Applied: 92, Last: 97}},
		{"an entry of the term that Raft has not saved yet", []said{statusOf(5, 90), statusOf(5, 93), leads, members},
			history.Observation{State: history.Leader, Leader: "dc1-s1", Commit: 95, Applied: 92, Last: 97}},
		{"a follower", []said{statusOf(5, 90), statusOf(5, 90), varsOf("StateFollower", 5, 92, ""), members},
			history.Observation{State: history.Follower, Leader: "dc1-s1", Term: 5, Commit: 95, Applied: 92}},
		{"a candidate", []said{statusOf(5, 90), statusOf(5, 90), varsOf("StatePreCandidate", 6, 92, ""), members},
			history.Observation{State: history.Candidate, Leader: "dc1-s1", Commit: 95, Applied: 92}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := serve(t, c.all...).Observe(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, o)
		})
	}
}

func TestANameIsAskedForOnce(t *testing.T) {
	one := []said{statusOf(5, 90), statusOf(5, 90), varsOf("StateFollower", 5, 92, "")}
	c := serve(t, append(append(one, said{path: "/v3/cluster/member/list", answer: threeMembers}), one...)...)
	for range 2 {
		o, err := c.Observe(t.Context())
		require.NoError(t, err)
		require.Equal(t, "dc1-s1", o.Leader)
	}
}

func TestPeers(t *testing.T) {
	c := serve(t, said{path: "/v3/cluster/member/list", answer: threeMembers}, varsOf("StateFollower", 5, 92, ""))
	peers, err := c.Peers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []nodes.Peer{
		{ID: "10", Node: "dc1-s1", Address: "10.0.0.1:2380", Voter: true, Leader: true},
		{ID: "11", Node: "dc1-s2", Address: "10.0.0.2:2380", Voter: true},
		{ID: "12", Address: "10.0.0.3:2380"},
	}, peers)
	id, err := serve(t, said{path: "/v3/maintenance/status", answer: `{"header":{"member_id":"255"}}`}).Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ff", id)
}

func TestRemovePeer(t *testing.T) {
	read := said{path: "/v3/kv/range", answer: `{` + someHeader + `}`}
	list := said{path: "/v3/cluster/member/list", answer: threeMembers}
	remove := said{path: "/v3/cluster/member/remove", body: `{"ID":"18"}`, answer: threeMembers}
	refused := said{path: "/v3/cluster/member/remove", status: 503, answer: `{"message":"etcdserver: unhealthy cluster"}`}
	// 12, in hex, is the one that has not started.
	require.NoError(t, serve(t, read, list, refused, refused, remove).RemovePeer(t.Context(), "12"))
	requireCode(t, history.BadRequest, serve(t).RemovePeer(t.Context(), "who?"))
	lost := said{path: "/v3/cluster/member/remove", status: 503, answer: `{"message":"etcdserver: request timed out"}`}
	requireCode(t, history.Timeout, serve(t, read, list, lost).RemovePeer(t.Context(), "12"))
}

func TestTransfer(t *testing.T) {
	leads := varsOf("StateLeader", 5, 92, `"10":{"match":97},"11":{"match":90},"12":{"match":96}`)
	list := said{path: "/v3/cluster/member/list", answer: threeMembers}
	transfer := said{path: "/v3/maintenance/transfer-leadership", body: `{"targetID":"17"}`, answer: `{}`}
	for _, to := range []string{"", "dc1-s2"} {
		require.NoError(t, serve(t, leads, list, transfer).Transfer(t.Context(), to))
	}
	requireCode(t, history.BadRequest, serve(t, leads, list).Transfer(t.Context(), "dc1-s1"))
	requireCode(t, history.NotLeader, serve(t, varsOf("StateFollower", 5, 92, "")).Transfer(t.Context(), ""))
}

package history

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGapsOfAPeerSet(t *testing.T) {
	voter := func(id, node string) Peer { return Peer{ID: id, Node: node, Voter: true} }
	servers := []string{"s1", "s2"}
	for _, c := range []struct {
		name  string
		peers []Peer
		gaps  []string
	}{
		{"just the servers", []Peer{voter("b", "s2"), voter("a", "s1")}, nil},
		{"nobody", nil, []string{"s1 is no peer", "s2 is no peer"}},
		{"one is missing", []Peer{voter("a", "s1")}, []string{"s2 is no peer"}},
		{"one has no vote", []Peer{voter("a", "s1"), {ID: "b", Node: "s2"}}, []string{"s2 has no vote"}},
		{"one is there twice", []Peer{voter("a", "s1"), voter("b", "s2"), voter("c", "s2")}, []string{"s2 is a peer twice"}},
		{"a machine that is gone", []Peer{voter("a", "s1"), voter("b", "s2"), voter("c", "")}, []string{"c, whom nobody knows any more, is still a peer"}},
		{"another server", []Peer{voter("a", "s1"), voter("b", "s2"), voter("c", "x1")}, []string{"x1 is a peer, and should not be"}},
		{"another without a vote", []Peer{voter("a", "s1"), voter("b", "s2"), {ID: "c", Node: "x1"}}, []string{"x1 is a peer, and should not be"}},
	} {
		require.Equal(t, c.gaps, PeerSet{Peers: c.peers}.Gaps(servers), c.name)
	}
}

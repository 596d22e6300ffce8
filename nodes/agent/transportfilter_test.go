package agent

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// The TimeoutNow that the library sends names no term, and is refused; one that names a
// term which is over is refused as well. Neither disturbs the leader.
func TestHandoverMustNameTheTerm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader, target := c.leader(t), c.followers(t)[0]
		l, s := leader.leadership(), target.agent.server.Load()
		require.Equal(t, history.NotLeader, nodes.CodeOf(s.filter.receiveTimeoutNow(l.term-1)))
		require.Equal(t, history.NotLeader, nodes.CodeOf(s.filter.receiveTimeoutNow(l.term+1)))
		err := l.s.filter.NetworkTransport.TimeoutNow(raft.ServerID(target.agent.id), raft.ServerAddress(target.agent.rpcAddr()),
			&raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}, &raft.TimeoutNowResponse{})
		require.ErrorContains(t, err, "must name its term")
		require.True(t, l.holds())
		require.Equal(t, l.term, s.raft.CurrentTerm())

		require.NoError(t, s.filter.receiveTimeoutNow(l.term))
		eventually(t, "the target leads", func() error {
			if c.leader(t) != target {
				return notLeader()
			}
			return nil
		})
		require.Greater(t, s.raft.CurrentTerm(), l.term)
		require.Equal(t, history.NotLeader, nodes.CodeOf(s.filter.receiveTimeoutNow(l.term)), "a TimeoutNow that arrives twice")
	})
}

// A snapshot that is older than what a follower has is said to be installed, and changes nothing.
func TestOldSnapshotsAreNotInstalled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader, follower := c.leader(t), c.followers(t)[0]
		leader.put(t, "k", "v")
		follower.awaitValue(t, "k", "v")
		l, s := leader.leadership(), follower.agent.server.Load()
		const old = "not even a snapshot"
		install := func(index, term uint64) (answer raft.InstallSnapshotResponse, err error) {
			err = l.s.filter.NetworkTransport.InstallSnapshot(raft.ServerID(follower.agent.id), raft.ServerAddress(follower.agent.rpcAddr()),
				&raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, SnapshotVersion: raft.SnapshotVersionMax,
					Term: term, LastLogIndex: index, LastLogTerm: term, Size: int64(len(old))}, &answer, strings.NewReader(old))
			return answer, err
		}
		before := s.store.Applied()
		answer, err := install(1, l.term)
		require.NoError(t, err)
		require.True(t, answer.Success)
		require.Equal(t, l.term, answer.Term)
		require.GreaterOrEqual(t, s.store.Applied(), before)
		answer, err = install(1, l.term-1)
		require.NoError(t, err)
		require.False(t, answer.Success, "of a leader that is over")
		leader.put(t, "k", "w")
		follower.awaitValue(t, "k", "w")
	})
}

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// filtered is a filter on loopback whose Raft is this test, and a transport to reach it.
func filtered(t *testing.T) (*transportFilter, *raft.NetworkTransport, raft.ServerAddress) {
	t.Helper()
	transport := func() *raft.NetworkTransport {
		tr, err := raft.NewTCPTransport("127.0.0.1:0", nil, 3, atMost, io.Discard)
		require.NoError(t, err)
		return tr
	}
	g, peer := newTransportFilter(transport(), nil, func() bool { return true }, nil), transport()
	t.Cleanup(func() {
		require.NoError(t, peer.Close())
		require.NoError(t, g.Close())
		require.NoError(t, g.Close(), "twice")
	})
	return g, peer, g.LocalAddr()
}

var header = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, Addr: []byte("leader")}

func heartbeat(peer *raft.NetworkTransport, to raft.ServerAddress) error {
	return peer.AppendEntries("g", to, &raft.AppendEntriesRequest{RPCHeader: header, Term: 1},
		&raft.AppendEntriesResponse{})
}

func vote(peer *raft.NetworkTransport, to raft.ServerAddress) error {
	return peer.RequestVote("g", to, &raft.RequestVoteRequest{RPCHeader: header, Term: 2}, &raft.RequestVoteResponse{})
}

// Neither of a heartbeat and a vote, or a TimeoutNow, begins while the other is handled. The pauses
// give a filter that is broken the time to show it; they cannot fail one that works.
func TestHeartbeatsTakeTurns(t *testing.T) {
	for what, ask := range map[string]func(*transportFilter, *raft.NetworkTransport, raft.ServerAddress) error{
		"vote": func(_ *transportFilter, peer *raft.NetworkTransport, to raft.ServerAddress) error {
			return vote(peer, to)
		},
		"timeout now": func(f *transportFilter, _ *raft.NetworkTransport, _ raft.ServerAddress) error {
			return f.receiveTimeoutNow(0)
		},
	} {
		t.Run(what, func(t *testing.T) { testTurns(t, what, ask) })
	}
}

func testTurns(t *testing.T, what string, ask func(*transportFilter, *raft.NetworkTransport, raft.ServerAddress) error) {
	const chance = 50 * time.Millisecond
	g, peer, addr := filtered(t)
	var d diary
	beating, beat := make(chan struct{}), make(chan struct{})
	g.SetHeartbeatHandler(func(rpc raft.RPC) {
		d.write("heartbeat begins")
		beating <- struct{}{}
		<-beat
		d.write("heartbeat ends")
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	})
	g.open(new(raft.Raft)) // in term 0
	results := make(chan error, 2)

	go func() { results <- heartbeat(peer, addr) }()
	<-beating
	go func() { results <- ask(g, peer, addr) }()
	time.Sleep(chance)
	select {
	case <-g.Consumer():
		require.Fail(t, "a "+what+" during a heartbeat")
	default:
	}
	close(beat)
	cast := <-g.Consumer()
	d.write(what + " begins")

	go func() { results <- heartbeat(peer, addr) }()
	time.Sleep(chance)
	d.write(what + " ends")
	cast.Respond(answerTo(cast), nil)
	<-beating
	for range 3 {
		require.NoError(t, <-results)
	}
	require.Equal(t, []string{"heartbeat begins", "heartbeat ends", what + " begins", what + " ends",
		"heartbeat begins", "heartbeat ends"}, d.read())
}

func answerTo(rpc raft.RPC) any {
	if _, is := rpc.Command.(*raft.TimeoutNowRequest); is {
		return &raft.TimeoutNowResponse{}
	}
	return &raft.RequestVoteResponse{}
}

// A filter that closes lets nobody wait who asked something of Raft.
func TestAFilterClosesUnderAsk(t *testing.T) {
	g, peer, addr := filtered(t)
	g.open(nil)
	result := make(chan error, 1)
	go func() { result <- vote(peer, addr) }()
	<-g.Consumer() // and is never answered
	require.NoError(t, g.Close())
	require.Error(t, <-result)
	require.ErrorIs(t, g.receiveTimeoutNow(1), raft.ErrTransportShutdown)
}

// The port separates calls from Raft by the first byte, and tolerates connections that send none.
func TestPortGreets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		n := c.nodes[0]
		dialPort := func() net.Conn {
			conn, err := n.wire.Net.Dial(t.Context(), "10.0.0.250", n.agent.rpcAddr())
			require.NoError(t, err)
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		dialPort() // says nothing, and must not hold up the end
		conn := dialPort()
		_, err := conn.Write([]byte{77})
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(atMost)))
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err, "an unknown protocol is hung up on")
		n.put(t, "a", "1")
		n.stop(t)
	})
}

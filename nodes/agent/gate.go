package agent

import (
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/workloads/history"
)

// gate stands between the network and Raft. It makes two things of the library safe for a
// leader's lease (package lease), a third for servers that lost their disk, and a fourth for
// those that took their place.
//
// A handover of leadership ends with a TimeoutNow, on which its target stands for
// election at once and is voted for even by those who know a leader. The lease is safe
// from that only because a leader revokes its own before it hands over. But the
// library's TimeoutNow names no term: one that waited in the socket of a stopped
// process can make it depose a later leader, which revoked nothing. So the gate refuses
// the library's message; the handover travels as a call that names the term, and is
// passed on to Raft only while the target is still in that term.
//
// Raft takes heartbeats on a goroutine of their own, beside its main loop. Then a
// heartbeat of term T, checked just before a vote for T+1 is cast and finished after
// it, takes the term back to T, and the voter would count as bound to a leader that it
// has voted out. So no heartbeat is handled while a vote or a handover is.
//
// The library asks for votes by address, and a server with an empty log gives its vote to
// anybody. Let a and c have committed an entry that b lacks, and let c lose its disk and
// come back at its address, under an ID of its own as it should: b, which has not heard of
// that, asks the address, counts the vote as that of the old c, and leads without the
// entry. So a server gives no vote until its own log says that it is of the peer set.
// That is in time: the log then holds the change that took the old c out, and b's, which
// lacks it, is refused by Raft's own rule; and a server that never had any log, at the
// very first election, has written the first peer set itself (bootstrap.go).
// The library sends by address, and its follower installs every snapshot of the current term, also one
// that is older than what it has applied: its state, and its peer set, then go back. A leader
// that has failed to send to a server which is gone may send it a last snapshot from its own
// first days, and who has come up at that address meanwhile gets it. A snapshot that ends
// where this server has been is a beginning of what it has, so the gate says that it is
// installed, and leaves the state alone.
type gate struct {
	*raft.NetworkTransport
	// send makes the target stand for election in place of the leader of a term that has
	// revoked its lease.
	send func(raft.ServerID, raft.ServerAddress) error
	// mayVote tells whether Raft may be asked for a vote.
	mayVote func() bool
	// reached is up to where this server knows what is committed.
	reached func() uint64

	out  chan raft.RPC
	hand chan handover
	stop chan struct{}
	once sync.Once
	loop sync.WaitGroup

	heartbeats sync.RWMutex // held for reading by heartbeats, for writing by votes and handovers
}

type handover struct {
	term uint64
	done chan error
}

func newGate(inner *raft.NetworkTransport, send func(raft.ServerID, raft.ServerAddress) error, mayVote func() bool, reached func() uint64) *gate {
	return &gate{NetworkTransport: inner, send: send, mayVote: mayVote, reached: reached, out: make(chan raft.RPC),
		hand: make(chan handover), stop: make(chan struct{})}
}

// open lets messages through to r.
func (g *gate) open(r *raft.Raft) {
	g.loop.Go(func() {
		for {
			select {
			case rpc := <-g.NetworkTransport.Consumer():
				g.pass(r, rpc)
			case h := <-g.hand:
				h.done <- g.handOver(r, h.term)
			case <-g.stop:
				return
			}
		}
	})
}

func (g *gate) pass(r *raft.Raft, rpc raft.RPC) {
	switch request := rpc.Command.(type) {
	case *raft.TimeoutNowRequest:
		rpc.Respond(nil, errors.New("a handover must name its term"))
	case *raft.RequestVoteRequest:
		if !g.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		answer := g.alone(rpc)
		rpc.Respond(answer.Response, answer.Error)
	case *raft.RequestPreVoteRequest:
		if !g.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		g.forward(rpc)
	case *raft.InstallSnapshotRequest:
		if request.LastLogIndex > g.reached() {
			g.forward(rpc)
			return
		}
		_, err := io.Copy(io.Discard, rpc.Reader) // or the connection would be of no use any more
		term := r.CurrentTerm()
		rpc.Respond(&raft.InstallSnapshotResponse{Term: term, Success: request.Term >= term}, err)
	default:
		g.forward(rpc)
	}
}

var errNoPeer = errors.New("by its own log this server is not of the peer set yet")

func (g *gate) forward(rpc raft.RPC) {
	select {
	case g.out <- rpc:
	case <-g.stop:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	}
}

// alone has Raft handle a message while no heartbeat is handled.
func (g *gate) alone(rpc raft.RPC) raft.RPCResponse {
	g.heartbeats.Lock()
	defer g.heartbeats.Unlock()
	return g.ask(rpc)
}

func (g *gate) ask(rpc raft.RPC) raft.RPCResponse {
	answer := make(chan raft.RPCResponse, 1)
	rpc.RespChan = answer
	select {
	case g.out <- rpc:
	case <-g.stop:
		return raft.RPCResponse{Error: raft.ErrTransportShutdown}
	}
	select {
	case response := <-answer:
		return response
	case <-g.stop:
		return raft.RPCResponse{Error: raft.ErrTransportShutdown}
	}
}

// handOver makes Raft stand for election, if it is still in the term. Between the check
// and the election no message reaches Raft, so only a candidacy of its own can change
// the term, and a candidate is bound to nobody.
func (g *gate) handOver(r *raft.Raft, term uint64) error {
	g.heartbeats.Lock()
	defer g.heartbeats.Unlock()
	if now := r.CurrentTerm(); now != term {
		return nodes.Errorf(history.NotLeader, "the handover is of term %d, and it is term %d", term, now)
	}
	return g.ask(raft.RPC{Command: &raft.TimeoutNowRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}}).Error
}

// takeOver is the target's side of a handover.
func (g *gate) takeOver(term uint64) error {
	h := handover{term: term, done: make(chan error, 1)}
	select {
	case g.hand <- h:
	case <-g.stop:
		return raft.ErrTransportShutdown
	}
	return <-h.done
}

// Consumer is where Raft reads.
func (g *gate) Consumer() <-chan raft.RPC { return g.out }

// SetHeartbeatHandler is for Raft.
func (g *gate) SetHeartbeatHandler(handle func(raft.RPC)) {
	g.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		g.heartbeats.RLock()
		defer g.heartbeats.RUnlock()
		handle(rpc)
	})
}

// TimeoutNow is for Raft: the leader's side of a handover.
func (g *gate) TimeoutNow(id raft.ServerID, target raft.ServerAddress, _ *raft.TimeoutNowRequest, _ *raft.TimeoutNowResponse) error {
	return g.send(id, target)
}

// Close is for Raft.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.stop) })
	err := g.NetworkTransport.Close()
	g.loop.Wait()
	return err
}

package agent

import (
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/workloads/history"
)

// transportFilter stands between the network and Raft. It makes two things of the library safe for a
// leader's lease (package lease), a third for servers that lost their disk, and a fourth for
// those that took their place.
//
// A handover of leadership ends with a TimeoutNow, on which its target stands for
// election at once and is voted for even by those who know a leader. The lease is safe
// from that only because a leader revokes its own before it hands over. But the
// library's TimeoutNow names no term: one that waited in the socket of a stopped
// process can make it depose a later leader, which revoked nothing. So the filter refuses
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
// where this server has been is a beginning of what it has, so the filter says that it is
// installed, and leaves the state alone.
type transportFilter struct {
	*raft.NetworkTransport
	// send makes the target stand for election in place of the leader of a term that has
	// revoked its lease.
	send func(raft.ServerID, raft.ServerAddress) error
	// mayVote reports whether Raft may be asked for a vote.
	mayVote func() bool
	// reached is up to where this server knows what is committed.
	reached func() uint64

	out  chan raft.RPC
	hand chan handover
	stop chan struct{}
	once sync.Once
	loop sync.WaitGroup

	// turn holds one value while a heartbeat, a vote or a handover is handled. It is a channel
	// and no mutex, since whoever has it waits for Raft.
	turn chan struct{}
}

type handover struct {
	term uint64
	done chan error
}

func newTransportFilter(inner *raft.NetworkTransport, send func(raft.ServerID, raft.ServerAddress) error, mayVote func() bool, reached func() uint64) *transportFilter {
	return &transportFilter{NetworkTransport: inner, send: send, mayVote: mayVote, reached: reached, out: make(chan raft.RPC),
		hand: make(chan handover), stop: make(chan struct{}), turn: make(chan struct{}, 1)}
}

// open lets messages through to r.
func (f *transportFilter) open(r *raft.Raft) {
	f.loop.Go(func() {
		for {
			select {
			case rpc := <-f.NetworkTransport.Consumer():
				f.pass(r, rpc)
			case h := <-f.hand:
				h.done <- f.handOver(r, h.term)
			case <-f.stop:
				return
			}
		}
	})
}

func (f *transportFilter) pass(r *raft.Raft, rpc raft.RPC) {
	switch request := rpc.Command.(type) {
	case *raft.TimeoutNowRequest:
		rpc.Respond(nil, errors.New("a handover must name its term"))
	case *raft.RequestVoteRequest:
		if !f.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		answer := f.alone(rpc)
		rpc.Respond(answer.Response, answer.Error)
	case *raft.RequestPreVoteRequest:
		if !f.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		f.forward(rpc)
	case *raft.InstallSnapshotRequest:
		if request.LastLogIndex > f.reached() {
			f.forward(rpc)
			return
		}
		_, err := io.Copy(io.Discard, rpc.Reader) // or the connection would be of no use any more
		term := r.CurrentTerm()
		rpc.Respond(&raft.InstallSnapshotResponse{Term: term, Success: request.Term >= term}, err)
	default:
		f.forward(rpc)
	}
}

var errNoPeer = errors.New("by its own log this server is not of the peer set yet")

func (f *transportFilter) forward(rpc raft.RPC) {
	select {
	case f.out <- rpc:
	case <-f.stop:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	}
}

// alone has Raft handle a message while no heartbeat is handled.
func (f *transportFilter) alone(rpc raft.RPC) raft.RPCResponse {
	done, err := f.takeTurn()
	if err != nil {
		return raft.RPCResponse{Error: err}
	}
	defer done()
	return f.ask(rpc)
}

// takeTurn waits until nobody handles a heartbeat, a vote or a handover. done ends the turn.
func (f *transportFilter) takeTurn() (done func(), err error) {
	select {
	case f.turn <- struct{}{}:
		return func() { <-f.turn }, nil
	case <-f.stop:
		return nil, raft.ErrTransportShutdown
	}
}

func (f *transportFilter) ask(rpc raft.RPC) raft.RPCResponse {
	answer := make(chan raft.RPCResponse, 1)
	rpc.RespChan = answer
	select {
	case f.out <- rpc:
	case <-f.stop:
		return raft.RPCResponse{Error: raft.ErrTransportShutdown}
	}
	select {
	case response := <-answer:
		return response
	case <-f.stop:
		return raft.RPCResponse{Error: raft.ErrTransportShutdown}
	}
}

// handOver makes Raft stand for election, if it is still in the term. Between the check
// and the election no message reaches Raft, so only a candidacy of its own can change
// the term, and a candidate is bound to nobody.
func (f *transportFilter) handOver(r *raft.Raft, term uint64) error {
	done, err := f.takeTurn()
	if err != nil {
		return err
	}
	defer done()
	if now := r.CurrentTerm(); now != term {
		return nodes.Errorf(history.NotLeader, "the handover is of term %d, and it is term %d", term, now)
	}
	return f.ask(raft.RPC{Command: &raft.TimeoutNowRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}}).Error
}

// takeOver is the target's side of a handover.
func (f *transportFilter) takeOver(term uint64) error {
	h := handover{term: term, done: make(chan error, 1)}
	select {
	case f.hand <- h:
	case <-f.stop:
		return raft.ErrTransportShutdown
	}
	return <-h.done
}

// Consumer is where Raft reads.
func (f *transportFilter) Consumer() <-chan raft.RPC { return f.out }

// SetHeartbeatHandler is for Raft.
func (f *transportFilter) SetHeartbeatHandler(handle func(raft.RPC)) {
	f.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		done, err := f.takeTurn()
		if err != nil {
			rpc.Respond(nil, err)
			return
		}
		defer done()
		handle(rpc)
	})
}

// TimeoutNow is for Raft: the leader's side of a handover.
func (f *transportFilter) TimeoutNow(id raft.ServerID, target raft.ServerAddress, _ *raft.TimeoutNowRequest, _ *raft.TimeoutNowResponse) error {
	return f.send(id, target)
}

// Close is for Raft.
func (f *transportFilter) Close() error {
	f.once.Do(func() { close(f.stop) })
	err := f.NetworkTransport.Close()
	f.loop.Wait()
	return err
}

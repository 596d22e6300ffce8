package agent

import (
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/workloads/history"
)

// transportFilter stands between the network and Raft. It closes four gaps of the library: two
// that would break a leader's lease (package lease), one for servers that lost their disk, and
// one for the servers that replace them.
//
// A leadership transfer ends with a TimeoutNow: its target starts an election at once, and
// gets votes even of servers that know a leader. The lease is safe from that only because a
// leader revokes its own before the transfer. But the library's TimeoutNow names no term: one
// that waited in the socket of a stopped process can make it depose a later leader, which
// revoked nothing. So the filter refuses the library's message; the transfer travels as a call
// that names the term, and is passed on to Raft only while the target is still in that term.
//
// Raft handles heartbeats on a goroutine of their own, beside its main loop. Then a
// heartbeat of term T, checked just before a vote for T+1 is cast and finished after
// it, takes the term back to T, and the voter would count as a follower of a leader that it
// has voted out. So no heartbeat is handled while a vote or a transfer is.
//
// The library requests votes by address, and a server with an empty log votes for any
// candidate. Let a and c have committed an entry that b lacks, and let c lose its disk and
// come back at its address, under an ID of its own as it should: b, which has not heard of
// that, asks the address, counts the vote as that of the old c, and leads without the
// entry. So a server gives no vote until its own log says that it is of the peer set.
// That is in time: the log then holds the change that took the old c out, and b's, which
// lacks it, is refused by Raft's own rule; and a server that never had any log, at the
// very first election, has written the first peer set itself (bootstrap.go).
//
// The library sends by address, and its follower installs every snapshot of the current term, also one
// that is older than what it has applied: its state, and its peer set, then go back. A leader
// that failed to reach a server may still send it an old snapshot, and a new server at that
// address receives it. A snapshot that ends at an index which this server has reached is a
// prefix of what it has, so the filter reports it as installed, and leaves the state alone.
type transportFilter struct {
	*raft.NetworkTransport
	// send makes the target start an election, after the leader has revoked its lease.
	send func(raft.ServerID, raft.ServerAddress) error
	// mayVote reports whether Raft may be asked for a vote.
	mayVote func() bool
	// knownCommit is the highest index that this server knows to be committed.
	knownCommit func() uint64

	out      chan raft.RPC
	timeouts chan timeoutNow
	stop     chan struct{}
	once     sync.Once
	loop     sync.WaitGroup

	// handling holds one value while a heartbeat, a vote or a transfer is handled. It is a channel
	// and not a mutex, since its holder waits for Raft.
	handling chan struct{}
}

type timeoutNow struct {
	term uint64
	done chan error
}

func newTransportFilter(inner *raft.NetworkTransport, send func(raft.ServerID, raft.ServerAddress) error, mayVote func() bool, knownCommit func() uint64) *transportFilter {
	return &transportFilter{NetworkTransport: inner, send: send, mayVote: mayVote, knownCommit: knownCommit, out: make(chan raft.RPC),
		timeouts: make(chan timeoutNow), stop: make(chan struct{}), handling: make(chan struct{}, 1)}
}

// open lets messages through to r.
func (f *transportFilter) open(r *raft.Raft) {
	f.loop.Go(func() {
		for {
			select {
			case rpc := <-f.NetworkTransport.Consumer():
				f.pass(r, rpc)
			case h := <-f.timeouts:
				h.done <- f.passTimeoutNow(r, h.term)
			case <-f.stop:
				return
			}
		}
	})
}

func (f *transportFilter) pass(r *raft.Raft, rpc raft.RPC) {
	switch request := rpc.Command.(type) {
	case *raft.TimeoutNowRequest:
		rpc.Respond(nil, errors.New("a TimeoutNow must name its term"))
	case *raft.RequestVoteRequest:
		if !f.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		answer := f.askExclusively(rpc)
		rpc.Respond(answer.Response, answer.Error)
	case *raft.RequestPreVoteRequest:
		if !f.mayVote() {
			rpc.Respond(nil, errNoPeer)
			return
		}
		f.forward(rpc)
	case *raft.InstallSnapshotRequest:
		if request.LastLogIndex > f.knownCommit() {
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

// askExclusively has Raft handle a message while no heartbeat is handled.
func (f *transportFilter) askExclusively(rpc raft.RPC) raft.RPCResponse {
	done, err := f.acquire()
	if err != nil {
		return raft.RPCResponse{Error: err}
	}
	defer done()
	return f.ask(rpc)
}

// acquire waits until no heartbeat, vote or transfer is handled. release lets the next in.
func (f *transportFilter) acquire() (release func(), err error) {
	select {
	case f.handling <- struct{}{}:
		return func() { <-f.handling }, nil
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

// passTimeoutNow makes Raft start an election, if it is still in the term. Between the check
// and the election no message reaches Raft, so only a candidacy of its own can change
// the term, and a candidate follows no leader.
func (f *transportFilter) passTimeoutNow(r *raft.Raft, term uint64) error {
	done, err := f.acquire()
	if err != nil {
		return err
	}
	defer done()
	if now := r.CurrentTerm(); now != term {
		return nodes.Errorf(history.NotLeader, "the TimeoutNow is of term %d, and it is term %d", term, now)
	}
	return f.ask(raft.RPC{Command: &raft.TimeoutNowRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}}).Error
}

// receiveTimeoutNow is the target's side of a leadership transfer.
func (f *transportFilter) receiveTimeoutNow(term uint64) error {
	h := timeoutNow{term: term, done: make(chan error, 1)}
	select {
	case f.timeouts <- h:
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
		done, err := f.acquire()
		if err != nil {
			rpc.Respond(nil, err)
			return
		}
		defer done()
		handle(rpc)
	})
}

// TimeoutNow is for Raft: the leader's side of a leadership transfer.
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

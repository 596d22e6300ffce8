package agent

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/lease"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

// A linearizable read follows the ReadIndex protocol of Raft (Ongaro's dissertation, section
// 6.4): the leader notes its commit index, confirms with a quorum that it still leads, and
// answers once it has applied up to that index.
//
// To confirm, it asks every voter for its term. If a quorum, this server included, is not
// beyond the leader's term T, then no later leader had been elected when the request
// began: electing one takes a majority that is beyond T already, terms never decrease, and
// two majorities share a voter. The same answers renew the lease (package lease).
//
// Raft's VerifyLeader is not used for it. It counts any heartbeat that is answered after
// it was called, even one that was sent, and answered, long before: while a process is
// stopped the answer waits in its socket, and when it goes on, VerifyLeader may succeed
// on it though another leader has been elected in the meantime.

// readIndexQueue batches requests for a read index. A batch confirms leadership at the
// instant when it begins, so it serves only requests that came before: those that come
// while a batch is running wait for the next.
type readIndexQueue struct {
	mu      sync.Mutex
	next    *readIndexBatch
	running bool
}

type readIndexBatch struct {
	done  chan struct{}
	index uint64 // Raft's commit index when the batch began
	err   error
}

// readIndex returns the commit index at some instant after the call, at which no later
// leader had been elected. The error is NotLeader or Timeout.
func (l *leadership) readIndex(ctx context.Context) (uint64, error) {
	b := l.joinBatch()
	select {
	case <-b.done:
		return b.index, b.err
	case <-ctx.Done():
		return 0, nodes.Errorf(history.Timeout, "leadership is not confirmed: %v", ctx.Err())
	}
}

// joinBatch returns the batch that begins next, and starts the loop if none is running.
func (l *leadership) joinBatch() *readIndexBatch {
	q := &l.reads
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == nil {
		q.next = &readIndexBatch{done: make(chan struct{})}
	}
	if !q.running {
		q.running = true
		go l.runBatches()
	}
	return q.next
}

func (l *leadership) runBatches() {
	q := &l.reads
	for {
		q.mu.Lock()
		b := q.next
		q.next = nil
		if b == nil {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		b.index, b.err = l.confirmLeadership()
		close(b.done)
	}
}

// confirmArgs asks a voter whether it still follows the leader.
type confirmArgs struct {
	Term   uint64
	Leader string // ID
}

type confirmReply struct {
	Term       uint64
	Follows    bool          // it follows this leader in this term
	ContactAge time.Duration // since its last contact with the leader, if Follows
}

// confirmLeadership asks a quorum whether this leadership still holds, renews the lease by
// its answers, and returns the commit index from before it asked.
func (l *leadership) confirmLeadership() (uint64, error) {
	sent := l.leaseTime() // before any voter can have answered
	commit := l.s.raft.CommitIndex()
	voters := l.s.voters()
	ctx, cancel := context.WithTimeout(context.Background(), l.s.a.times.Heartbeat)
	defer cancel()
	answers := l.askVoters(ctx, voters)
	within, grants, outstanding := 0, []time.Duration{}, len(voters)
	for within < lease.Quorum(len(voters)) && outstanding > 0 {
		answer := <-answers
		outstanding--
		switch {
		case answer.err != nil:
		case answer.Term > l.term:
			return 0, notLeader()
		default:
			within++
			grants = append(grants, answer.grant(sent, l.s.a.times.Heartbeat))
		}
	}
	if within < lease.Quorum(len(voters)) || len(voters) == 0 {
		return 0, nodes.Errorf(history.NotLeader, "rpc error: leadership cannot be confirmed by %d of %d voters", within, len(voters))
	}
	if !l.holds() { // the leader's own answer, which it gave to itself above
		return 0, notLeader()
	}
	l.extend(&leaseState{end: lease.End(grants, len(voters)), voters: voters})
	return commit, nil
}

type voterAnswer struct {
	confirmReply
	self bool
	err  error
}

func (v voterAnswer) grant(sent, heartbeat time.Duration) time.Duration {
	switch {
	case v.self:
		return lease.Forever
	case v.Follows:
		return lease.Grant(sent, v.ContactAge, heartbeat)
	}
	return sent
}

// askVoters asks all voters at once. The channel is buffered for all answers, so late ones
// need no receiver.
func (l *leadership) askVoters(ctx context.Context, voters []raft.Server) <-chan voterAnswer {
	answers := make(chan voterAnswer, len(voters))
	request := rpc.Request{Method: confirmMethod.name, Final: true,
		Body: rpc.Encode(confirmArgs{Term: l.term, Leader: l.s.a.id})}
	for _, v := range voters {
		if string(v.ID) == l.s.a.id {
			answers <- voterAnswer{confirmReply: confirmReply{Term: l.term}, self: true}
			continue
		}
		go func() {
			var answer voterAnswer
			response, err := l.s.a.call(ctx, string(v.Address), request)
			if answer.err = err; err == nil {
				answer.err = rpc.Decode(response.Body, &answer.confirmReply)
			}
			answers <- answer
		}()
	}
	return answers
}

// extend replaces the lease unless the old one, for the same voters, lasts longer.
func (l *leadership) extend(to *leaseState) {
	if old := l.lease.Load(); old != nil && old.end > to.end && sameVoters(old.voters, to.voters) {
		return
	}
	l.lease.Store(to)
}

// confirm is a voter's answer. Everything is read between two reads of the term, and
// the last contact before the leader: if the leader changed in between, then a later
// contact (a vote is one) is not mistaken for contact with it.
func (s *server) confirm(_ context.Context, args confirmArgs) (confirmReply, error) {
	before := s.raft.CurrentTerm()
	contact := s.raft.LastContact()
	_, leader := s.raft.LeaderWithID()
	follows := s.raft.State() == raft.Follower && string(leader) == args.Leader
	reply := confirmReply{Term: s.raft.CurrentTerm()}
	reply.Follows = follows && before == args.Term && reply.Term == args.Term
	reply.ContactAge = time.Since(contact) // a reading of the monotonic clock, the one by which Raft keeps the promise
	return reply, nil
}

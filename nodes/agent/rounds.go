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

// A round asks every voter for its term. If a quorum, this server included, is not
// beyond the leader's term T, then no later leader had been elected when the round
// began: electing one takes a majority that is beyond T already, terms never fall, and
// two majorities share a voter. The same answers renew the lease (package lease).
//
// Raft's VerifyLeader is not used for it. It counts any heartbeat that is answered after
// it was called, even one that was sent, and answered, long before: while a process is
// stopped the answer waits in its socket, and when it goes on, VerifyLeader may succeed
// on it though another leader has risen in the meantime.

// rounds lets readers share rounds. A round proves something about the instant of its
// beginning, so it serves only readers that came before: those that come while one is
// under way wait for the next.
type rounds struct {
	mu      sync.Mutex
	next    *round
	running bool
}

type round struct {
	done   chan struct{}
	commit uint64 // Raft's commit index when the round began
	err    error
}

// round waits for a round that begins after the call does.
func (l *leadership) round(ctx context.Context) (*round, error) {
	r := l.join()
	select {
	case <-r.done:
		return r, r.err
	case <-ctx.Done():
		return nil, nodes.Errorf(history.Timeout, "leadership is not confirmed: %v", ctx.Err())
	}
}

func (l *leadership) join() *round {
	q := &l.rounds
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == nil {
		q.next = &round{done: make(chan struct{})}
	}
	if !q.running {
		q.running = true
		go l.runRounds()
	}
	return q.next
}

func (l *leadership) runRounds() {
	q := &l.rounds
	for {
		q.mu.Lock()
		r := q.next
		q.next = nil
		if r == nil {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		l.run(r)
		close(r.done)
	}
}

// confirmArgs asks a voter whether it still follows.
type confirmArgs struct {
	Term   uint64
	Leader string // ID
}

type confirmReply struct {
	Term  uint64
	Bound bool          // it follows this leader in this term
	Age   time.Duration // since its last contact with the leader, when it is Bound
}

func (l *leadership) run(r *round) {
	sent := l.leaseTime() // before anybody can have answered
	r.commit = l.s.raft.CommitIndex()
	voters := l.s.voters()
	ctx, cancel := context.WithTimeout(context.Background(), l.s.a.times.Heartbeat)
	defer cancel()
	answers := l.askAll(ctx, voters)
	within, grants, outstanding := 0, []time.Duration{}, len(voters)
	for within < lease.Quorum(len(voters)) && outstanding > 0 {
		answer := <-answers
		outstanding--
		switch {
		case answer.err != nil:
		case answer.Term > l.term:
			r.err = notLeader()
			return
		default:
			within++
			grants = append(grants, answer.grant(sent, l.s.a.times.Heartbeat))
		}
	}
	if within < lease.Quorum(len(voters)) || len(voters) == 0 {
		r.err = nodes.Errorf(history.NotLeader, "rpc error: leadership cannot be confirmed by %d of %d voters", within, len(voters))
		return
	}
	if !l.holds() { // the leader's own answer, which it gave to itself above
		r.err = notLeader()
		return
	}
	l.extend(&leaseState{end: lease.End(grants, len(voters)), voters: voters})
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
	case v.Bound:
		return lease.Grant(sent, v.Age, heartbeat)
	}
	return sent
}

// askAll asks all voters at once. The channel holds all answers, so nobody needs to
// take those that come late.
func (l *leadership) askAll(ctx context.Context, voters []raft.Server) <-chan voterAnswer {
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

// confirm is a voter's answer. Everything is read between two looks at the term, and
// the last contact before the leader: if the leader was forgotten in between, then a
// contact that came after it (a vote is one) is not taken for contact with it.
func (s *server) confirm(_ context.Context, args confirmArgs) (confirmReply, error) {
	before := s.raft.CurrentTerm()
	contact := s.raft.LastContact()
	_, leader := s.raft.LeaderWithID()
	follows := s.raft.State() == raft.Follower && string(leader) == args.Leader
	reply := confirmReply{Term: s.raft.CurrentTerm()}
	reply.Bound = follows && before == args.Term && reply.Term == args.Term
	reply.Age = time.Since(contact) // a reading of the monotonic clock, the one by which Raft keeps the promise
	return reply, nil
}

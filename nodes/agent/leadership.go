package agent

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// leadership is one term in which this server leads.
//
// Reads need up to three properties of it, each established apart:
//
//	ready       its own first entry is applied, and so is everything committed before it
//	            led (a new leader does not know how far that goes; Raft, section 8)
//	read index  a quorum was still in its term after an instant: no later leader had been
//	            elected by then (readindex.go)
//	lease       until a future instant, no later leader can be elected (package lease)
type leadership struct {
	s     *server
	term  uint64
	ready chan struct{} // closed when ready
	reads readIndexQueue

	sessions sessionTimes

	lease   atomic.Pointer[leaseState]
	revoked atomic.Bool // a leadership transfer has begun: no lease for the rest of the term
}

// leaseState is a lease and the voters that it was computed for. It says nothing about
// other sets: after two changes of the set, majorities need not meet.
type leaseState struct {
	end    time.Duration // of Host.Monotonic
	voters []raft.Server
}

// followLeadership keeps s.lead in step with Raft until ctx ends.
func (s *server) followLeadership(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond) // Raft's channel drops what is not taken in time
	defer tick.Stop()
	stop := func() {}
	defer func() { stop() }()
	for {
		term, leads := s.leading()
		now := s.lead.Load()
		if now != nil && (!leads || now.term != term) {
			stop()
			stop = func() {}
			s.lead.Store(nil)
			now = nil
		}
		if leads && now == nil {
			l := &leadership{s: s, term: term, ready: make(chan struct{}), sessions: newSessionTimes()}
			s.lead.Store(l)
			stop = l.start(ctx)
		}
		select {
		case <-s.raft.LeaderCh():
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// start starts the leader's loops; stop ends them and waits.
func (l *leadership) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{}, 4)
	for _, loop := range []func(context.Context){l.becomeReady, l.renew, l.reconcile, l.expireSessions} {
		go func() {
			loop(ctx)
			done <- struct{}{}
		}()
	}
	return func() {
		cancel()
		for range cap(done) {
			<-done
		}
	}
}

// becomeReady commits an entry of this term and waits until it is applied.
func (l *leadership) becomeReady(ctx context.Context) {
	barrier := kv.Command{Op: kv.Barrier}.Append(nil)
	for ctx.Err() == nil && l.holds() {
		waits := l.s.a.defects[WaitsForEveryPeer] && !l.everyPeerAnswers(ctx)
		if _, err := l.s.propose(ctx, barrier); err == nil && !waits {
			close(l.ready)
			return
		}
		if sleep(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

// everyPeerAnswers is what the defect waits-for-every-peer waits for.
func (l *leadership) everyPeerAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.s.a.times.Heartbeat)
	defer cancel()
	for _, v := range l.s.voters() {
		if string(v.ID) != l.s.a.id {
			if _, err := l.s.statusOf(ctx, string(v.Address)); err != nil {
				return false
			}
		}
	}
	return true
}

// renew keeps the lease from expiring between reads.
func (l *leadership) renew(ctx context.Context) {
	tick := time.NewTicker(l.s.a.times.Heartbeat / 5)
	defer tick.Stop()
	for {
		if _, err := l.readIndex(ctx); err != nil {
			l.s.a.log.Debug("lease: not renewed", "term", l.term, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// holds reports whether this leadership is not over, as far as this server knows.
func (l *leadership) holds() bool {
	term, leads := l.s.leading()
	return leads && term == l.term
}

// leaseTime is the clock by which the lease is measured: it must not be set back, nor differ
// from the voters' in rate by more than package lease allows.
func (l *leadership) leaseTime() time.Duration {
	if l.s.a.defects[WallClockLease] {
		return time.Duration(l.s.a.host.Now().UnixNano())
	}
	return l.s.a.host.Monotonic()
}

// leased reports whether, at some instant during the call, no later leader could have
// been elected.
func (l *leadership) leased() bool {
	state := l.lease.Load()
	return state != nil && !l.revoked.Load() && sameVoters(state.voters, l.s.voters()) &&
		l.leaseTime() < state.end && l.holds()
}

func sameVoters(a, b []raft.Server) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(v raft.Server) bool {
		return !slices.ContainsFunc(b, func(w raft.Server) bool { return v.ID == w.ID })
	})
}

// leadershipNow returns the current leadership; the error is definite.
func (s *server) leadershipNow() (*leadership, error) {
	l := s.lead.Load()
	if l == nil || !l.holds() {
		return nil, notLeader()
	}
	return l, nil
}

// awaitReady waits until the leadership is ready.
func (l *leadership) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.ready:
			return nil
		case <-tick.C:
			if !l.holds() {
				return notLeader()
			}
		case <-ctx.Done():
			return nodes.Errorf(history.Timeout, "the new leader is not ready yet: %v", ctx.Err())
		}
	}
}

func notLeader() error { return nodes.Errorf(history.NotLeader, "rpc error: node is not the leader") }

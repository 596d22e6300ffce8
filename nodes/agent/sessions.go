package agent

import (
	"context"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// A session lives at least its TTL after it was made or renewed, as the leader counts, and at
// most about twice that, as Consul's. What a client may build on it:
//
//   - The leader counts by a clock that cannot be set, from when it served the renewal,
//     which is after the client asked for it.
//   - A renewal is answered only after the leader has confirmed (readindex.go) that no later
//     leader had been elected when it was counted. Otherwise a leader that was deposed, and does
//     not know it yet, would confirm a session that its successor has already expired.
//   - A new leader gives every session its full TTL again, from when it is ready.
//   - Once the leader has begun to end a session, it renews it no more. That a session has ended
//     is said once that is committed, and by a confirmed leader: until then a successor may give it its full
//     TTL again, and a deposed leader knows nothing of younger sessions.

// sessionTTLMultiplier is how many TTLs after its last renewal a session expires, as Consul's.
const sessionTTLMultiplier = 2

// sessionCheckInterval is how often the leader looks for expired sessions.
const sessionCheckInterval = 50 * time.Millisecond

// sessionTimes is when sessions expire, in one term of one leader.
type sessionTimes struct {
	mu     sync.Mutex
	ends   map[string]time.Duration // by ID, of sessionTime
	ending map[string]bool          // those that are being ended, and cannot be renewed
}

func newSessionTimes() sessionTimes {
	return sessionTimes{ends: map[string]time.Duration{}, ending: map[string]bool{}}
}

// sessionTime is the clock by which sessions are counted.
func (s *server) sessionTime() time.Duration {
	if s.a.defects[SessionExpiryByWallClock] {
		return time.Duration(s.a.host.Now().UnixNano())
	}
	return s.a.host.Monotonic()
}

// expireSessions destroys expired sessions while this leader leads.
func (l *leadership) expireSessions(ctx context.Context) {
	if l.awaitReady(ctx) != nil {
		return
	}
	tick := time.NewTicker(sessionCheckInterval)
	defer tick.Stop()
	for {
		for _, id := range l.expiredSessions() {
			command := kv.Command{Op: kv.SessionDestroy, Key: id}.Append(nil)
			if _, err := l.s.propose(ctx, command); err != nil {
				l.s.a.log.Warn("session: not ended", "id", id, "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// expiredSessions lists the IDs of expired sessions, and marks them so that none is renewed.
func (l *leadership) expiredSessions() (expired []string) {
	dead := l.s.a.deadNodes()
	all, _ := l.s.store.Sessions()
	now := l.s.sessionTime()
	q := &l.sessions
	q.mu.Lock()
	defer q.mu.Unlock()
	ends := map[string]time.Duration{}
	for _, session := range all {
		if session.TTL > 0 {
			end, known := q.ends[session.ID]
			if !known {
				end = now + sessionTTLMultiplier*session.TTL
			}
			ends[session.ID] = end
		}
		if session.TTL > 0 && now > ends[session.ID] || session.Checked && dead[session.Node] {
			q.ending[session.ID] = true
			expired = append(expired, session.ID)
		}
	}
	q.ends = ends
	return expired
}

// deadNodes are the members of the gossip pool that failed or left.
func (a *Agent) deadNodes() map[string]bool {
	dead := map[string]bool{}
	for _, m := range a.gossip.Members() {
		if m.Status != gossip.Alive {
			dead[m.Name] = true
		}
	}
	return dead
}

type (
	sessionArgs struct {
		ID   string // "": all of them
		Mode history.Mode
	}
	sessionReply struct {
		Sessions []kv.Session
		Index    uint64
	}
)

// sessionsRead lists sessions.
func (s *server) sessionsRead(ctx context.Context, args sessionArgs) (sessionReply, error) {
	if err := s.freshen(ctx, args.Mode); err != nil {
		return sessionReply{}, err
	}
	var reply sessionReply
	reply.Sessions, reply.Index = s.store.Sessions()
	if args.ID == "" {
		return reply, nil
	}
	reply.Sessions = nil
	if found, ok := s.store.Session(args.ID); ok {
		reply.Sessions = []kv.Session{found}
	}
	return reply, nil
}

// sessionRenew gives a session its full TTL again. It runs on the leader only. A session
// that does not exist any more is not in the reply.
func (s *server) sessionRenew(ctx context.Context, args sessionArgs) (sessionReply, error) {
	l, err := s.leadershipNow()
	if err != nil {
		return sessionReply{}, err
	}
	if err := l.awaitReady(ctx); err != nil {
		return sessionReply{}, err
	}
	renewed, ok := l.extendSession(args.ID)
	if !ok {
		if err := l.awaitEnd(ctx, args.ID); err != nil {
			return sessionReply{}, err
		}
	}
	if !s.a.defects[DeposedLeaderRenews] {
		if _, err := l.readIndex(ctx); err != nil {
			return sessionReply{}, err
		}
	}
	if !ok {
		return sessionReply{}, nil
	}
	return sessionReply{Sessions: []kv.Session{renewed}}, nil
}

// awaitEnd waits until a session that is not renewed any more does not exist.
func (l *leadership) awaitEnd(ctx context.Context, id string) error {
	for {
		if _, there := l.s.store.Session(id); !there {
			return nil
		}
		if !l.holds() {
			return notLeader()
		}
		if sleep(ctx, 10*time.Millisecond) != nil {
			return nodes.Errorf(history.Timeout, "the session is being ended: %v", ctx.Err())
		}
	}
}

func (l *leadership) extendSession(id string) (kv.Session, bool) {
	q := &l.sessions
	q.mu.Lock()
	defer q.mu.Unlock()
	session, ok := l.s.store.Session(id)
	if !ok || q.ending[id] {
		return kv.Session{}, false
	}
	if session.TTL > 0 {
		q.ends[id] = l.s.sessionTime() + sessionTTLMultiplier*session.TTL
	}
	return session, true
}

// lockDelays is until when keys may not be acquired, because the session that held them expired:
// its holder may not know it yet. Every server keeps its own, counted from when it applied the
// end of the session, since time is not part of the replicated state. So a delay may be longer
// on a server that lags, and is lost in a restart from a snapshot, as Consul's is.
type lockDelays struct {
	mu    sync.Mutex
	until map[string]time.Duration // by key, of Host.Monotonic
}

// sessionEnded is the store's callback for every session that ends.
func (s *server) sessionEnded(ended kv.Session, held []string) {
	if ended.LockDelay <= 0 {
		return
	}
	till := s.a.host.Monotonic() + ended.LockDelay
	s.delays.mu.Lock()
	defer s.delays.mu.Unlock()
	for _, key := range held {
		s.delays.until[key] = till
	}
}

// delayed reports whether a key may not be acquired yet.
func (d *lockDelays) delayed(key string, now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, till := range d.until {
		if till <= now {
			delete(d.until, k)
		}
	}
	_, waits := d.until[key]
	return waits
}

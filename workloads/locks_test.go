package workloads

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// fakeLocks is a lock service whose sessions end after twice their TTL.
type fakeLocks struct {
	mu       sync.Mutex
	made     int
	index    uint64
	sessions map[string]*fakeSession
	holders  map[string]string // session by key
}

type fakeSession struct {
	ttl  time.Duration
	ends time.Time
}

// locks are shared by all clients of a store.
func (s *store) locks() *fakeLocks {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lockService == nil {
		s.lockService = &fakeLocks{sessions: map[string]*fakeSession{}, holders: map[string]string{}}
	}
	return s.lockService
}

// live finds a session that has not run out; l.mu is held.
func (l *fakeLocks) live(id string) *fakeSession {
	s := l.sessions[id]
	if s != nil && time.Now().After(s.ends) {
		l.end(id)
		return nil
	}
	return s
}

func (l *fakeLocks) end(id string) {
	delete(l.sessions, id)
	for key, holder := range l.holders {
		if holder == id {
			delete(l.holders, key)
		}
	}
}

func (l *fakeLocks) create(ttl time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	id := fmt.Sprintf("session-%d", l.made)
	l.sessions[id] = &fakeSession{ttl, time.Now().Add(2 * ttl)}
	return id
}

func (l *fakeLocks) renew(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.live(id)
	if s == nil {
		return nodes.Errorf(history.NoSession, "fake")
	}
	s.ends = time.Now().Add(2 * s.ttl)
	return nil
}

func (l *fakeLocks) destroy(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(id)
}

func (l *fakeLocks) acquire(key, id string) (nodes.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live(id) == nil {
		return nodes.Answer{}, nodes.Errorf(history.NoSession, "fake")
	}
	if holder := l.holders[key]; holder != "" && holder != id && l.live(holder) != nil {
		return nodes.Answer{}, nodes.Errorf(history.LockHeld, "fake")
	}
	l.holders[key] = id
	l.index++
	return nodes.Answer{Found: true, Index: l.index}, nil
}

func (l *fakeLocks) release(key, id string) (nodes.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders[key] != id {
		return nodes.Answer{}, nodes.Errorf(history.LockHeld, "fake")
	}
	delete(l.holders, key)
	l.index++
	return nodes.Answer{Found: true, Index: l.index}, nil
}

// Every kind of operation comes up, and those of one session come one after the other.
func TestLockWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := NewLock(Options{Seed: 3})
		require.NoError(t, err)
		b := newBench(t, func(c *Config) { c.Generator, c.Rate, c.Concurrency = g, 200, 9 })
		b.troubles(map[trouble]float64{forget: 0.02})
		b.run(30 * time.Second)
		_, ops := b.finish()
		good, held := map[history.Op]int{}, 0
		until := map[string]int64{}
		for i := range ops {
			op := &ops[i]
			if op.Type == history.OK {
				good[op.F]++
			}
			if op.Error == history.LockHeld && op.F == history.OpAcquire {
				held++
			}
			if op.F == history.OpCreate || op.F == history.OpRead {
				continue
			}
			require.GreaterOrEqual(t, op.Invoke, until[string(op.Input)], "operation %d", op.ID)
			until[string(op.Input)] = op.Return
		}
		for _, f := range []history.Op{history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease, history.OpRead} {
			require.Positive(t, good[f], f)
		}
		require.Positive(t, held)
	})
}

func TestLockRefuses(t *testing.T) {
	_, err := NewLock(Options{Keys: -1})
	require.ErrorContains(t, err, "-1 locks")
}

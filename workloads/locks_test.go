package workloads

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// fakeLocks is a lock service whose sessions end after twice their TTL.
type fakeLocks struct {
	mu       sync.Mutex
	made     int
	index    uint64
	sessions map[string]*fakeSession
	entries  map[string]*history.Entry
	delays   map[string]time.Time // until when a key cannot be acquired
}

type fakeSession struct {
	ttl, delay time.Duration
	deletes    bool
	ends       time.Time
}

// locks are shared by all clients of a store.
func (s *store) locks() *fakeLocks {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lockService == nil {
		s.lockService = &fakeLocks{sessions: map[string]*fakeSession{}, entries: map[string]*history.Entry{}, delays: map[string]time.Time{}}
	}
	return s.lockService
}

// expire ends the sessions that have run out; l.mu is held, as in all below.
func (l *fakeLocks) expire() {
	for id, s := range l.sessions {
		if time.Now().After(s.ends) {
			l.end(id)
		}
	}
}

func (l *fakeLocks) end(id string) {
	s := l.sessions[id]
	delete(l.sessions, id)
	for key, e := range l.entries {
		if s == nil || e.Session != id {
			continue
		}
		l.index++
		l.delays[key] = time.Now().Add(s.delay)
		if s.deletes {
			delete(l.entries, key)
			continue
		}
		e.Session, e.ModifyIndex = "", l.index
	}
}

func (l *fakeLocks) do(op nodes.Op) (nodes.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	s := l.sessions[op.Session]
	e := l.entries[op.Key]
	switch {
	case op.F == history.OpCreate:
		l.made++
		id := fmt.Sprintf("session-%d", l.made)
		l.sessions[id] = &fakeSession{op.TTL, op.LockDelay, op.DeletesKeys, time.Now().Add(2 * op.TTL)}
		return nodes.Answer{Value: id}, nil
	case op.F == history.OpRead && e == nil:
		return nodes.Answer{}, nil
	case op.F == history.OpRead:
		return nodes.Answer{Found: true, Value: e.Value, Index: e.ModifyIndex, Entry: *e}, nil
	case op.F == history.OpDestroy:
		l.end(op.Session)
		return nodes.Answer{}, nil
	case op.F == history.OpRelease && (e == nil || s == nil || e.Session != op.Session),
		op.F == history.OpAcquire && (time.Now().Before(l.delays[op.Key]) || e != nil && e.Session != "" && e.Session != op.Session):
		return nodes.Answer{}, nodes.Errorf(history.LockHeld, "fake")
	case s == nil:
		return nodes.Answer{}, nodes.Errorf(history.NoSession, "fake")
	case op.F == history.OpRenew:
		s.ends = time.Now().Add(2 * s.ttl)
		return nodes.Answer{}, nil
	}
	l.index++
	if e == nil {
		e = &history.Entry{CreateIndex: l.index}
		l.entries[op.Key] = e
	}
	e.Value, e.ModifyIndex = op.Value, l.index
	switch {
	case op.F == history.OpRelease:
		e.Session = ""
	case e.Session == "":
		e.Session = op.Session
		e.LockIndex++
	}
	return nodes.Answer{Found: true, Index: l.index}, nil
}

// Every kind of operation comes up, also what clients should not do, and the checkers of the workload
// find nothing in what a service that keeps its promises answers to that.
func TestLockWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := NewLock(Options{Seed: 3})
		require.NoError(t, err)
		b := newBench(t, func(c *Config) { c.Generator, c.Rate, c.Concurrency = g, 200, 9 })
		b.troubles(map[trouble]float64{refuse: 0.01, lose: 0.01, forget: 0.02, hang: 0.01})
		b.run(60 * time.Second)
		finals := g.Finals(100)
		require.Len(t, finals, 2*defaultLocks)
		require.NoError(t, b.Final(t.Context()))
		events, ops := b.finish()
		good, refused := map[history.Op]int{}, map[string]int{}
		behaviors, delays := map[string]int{}, 0
		for i := range ops {
			op := &ops[i]
			if op.Type == history.OK {
				good[op.F]++
			}
			if op.Type == history.Fail {
				refused[fmt.Sprint(op.F, " ", op.Error)]++
			}
			if op.F == history.OpCreate && op.Type == history.OK {
				var v SessionValue
				require.NoError(t, json.Unmarshal(op.Output, &v))
				behaviors[v.Behavior]++
				if v.LockDelayMS > 0 {
					delays++
				}
			}
		}
		for _, f := range []history.Op{history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease, history.OpRead} {
			require.Positive(t, good[f], f)
		}
		for _, late := range []string{"acquire lock-held", "acquire no-session", "release lock-held", "renew no-session"} {
			require.Positive(t, refused[late], "%s: %v", late, refused)
		}
		require.Positive(t, behaviors["release"])
		require.Positive(t, behaviors["delete"])
		require.Positive(t, delays)
		verdict, results := checker.Judge(t.Context(), &checker.Run{Settings: checker.Settings{Workload: "lock"}, Events: events, Ops: ops}, Lock().Checkers)
		require.Equal(t, checker.Valid, verdict, results)
	})
}

// Where sessions have no lock delay and always delete their keys, none is asked for, and the history says so.
func TestLockOfPlainSessions(t *testing.T) {
	g, err := NewLock(Options{Seed: 3, PlainSessions: true})
	require.NoError(t, err)
	require.Len(t, g.Finals(100), defaultLocks)
	require.Len(t, g.Finals(2), 2)
	for range 100 {
		op := g.Next()
		require.Zero(t, op.LockDelay)
		require.NotContains(t, op.Key, "delayed")
		if op.F == history.OpCreate {
			require.JSONEq(t, `{"ttl_ms": 2000, "behavior": "delete"}`, string(op.Argument))
			require.JSONEq(t, `{"session": "s", "ttl_ms": 2000, "behavior": "delete"}`, string(created(op, "s")))
		}
		g.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Value: "s"}})
	}
}

// A burst asks for sessions that were given up as well.
func TestLockBursts(t *testing.T) {
	g, err := NewLock(Options{Seed: 3})
	require.NoError(t, err)
	require.Equal(t, history.OpRead, g.Read().F, "no session was given up yet")
	own := &actor{session: "gone", keys: []string{"lock0"}}
	g.Learn(Op{Op: nodes.Op{F: history.OpDestroy, Session: "gone"}, Own: own}, Outcome{Type: history.OK})
	asked := map[history.Op]int{}
	for range 100 {
		op := g.Read()
		asked[op.F]++
		if op.F == history.OpRenew {
			require.Equal(t, "gone", op.Session)
			require.JSONEq(t, `"gone"`, string(op.Argument))
			require.Nil(t, op.Own)
		}
	}
	require.Greater(t, asked[history.OpRenew], 20)
	require.Greater(t, asked[history.OpRead], 20)
}

func TestLockReadsAreRecordedWhole(t *testing.T) {
	e := history.Entry{CreateIndex: 3, ModifyIndex: 5, LockIndex: 2, Session: "s"}
	recorded := found(lookAt("lock0", history.ModeDefault), nodes.Answer{Found: true, Value: "v", Index: 5, Entry: e})
	require.JSONEq(t, `{"value": "v", "create": 3, "modify": 5, "lock": 2, "session": "s"}`, string(recorded))
	require.JSONEq(t, `null`, string(found(lookAt("lock0", history.ModeDefault), nodes.Answer{})))
}

func TestLockRefuses(t *testing.T) {
	_, err := NewLock(Options{Keys: -1})
	require.ErrorContains(t, err, "-1 locks")
}

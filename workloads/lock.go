package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// SessionValue is the value of an OpCreate in the history.
type SessionValue struct {
	Session string `json:"session,omitempty"` // ID, in the answer
	TTLMS   int64  `json:"ttl_ms"`
}

const (
	defaultLocks = 3
	lockTTL      = 2 * time.Second // of a session
	lookShare    = 0.1             // of operations that only look at a lock
)

// lock has sessions compete for a few locks. Each of them is an actor, which makes one
// session after the other: it makes one, acquires a lock, renews for a while, and
// releases, or destroys its session, or abandons it. What actors do is drawn, and not
// when: that is the runner's.
type lock struct {
	keys int
	mode history.Mode

	mu     sync.Mutex
	random *rand.Rand
	idle   []*actor // those that have nothing under way
}

// actor is one session after the other, one operation at a time.
type actor struct {
	session string // "": it has none
	key     string // that it holds, or may hold
}

// Lock is the workload lock.
func Lock() Workload {
	return Workload{
		Name: "lock",
		Doc:  "sessions that compete for a few locks, renew them, and release them or run out",
		Ops: []history.Op{history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease,
			history.OpRead},
		New:      NewLock,
		Checkers: []checker.Checker{checker.Mutex()},
	}
}

// NewLock makes the Generator of the workload lock.
func NewLock(o Options) (Generator, error) {
	o.Keys = cmp.Or(o.Keys, defaultLocks)
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("lock: %d locks; at least 1 is needed", o.Keys)
	}
	return &lock{keys: o.Keys, mode: o.Mode, random: rand.New(rand.NewPCG(o.Seed, 1))}, nil
}

// Next implements Generator. There are as many actors as operations under way at a time,
// and some more.
func (g *lock) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.random.Float64() < lookShare {
		return g.read()
	}
	a := &actor{}
	if n := len(g.idle); n > 0 {
		at := g.random.IntN(n)
		a, g.idle[at] = g.idle[at], g.idle[n-1]
		g.idle = g.idle[:n-1]
	}
	op := g.act(a)
	op.Own = a
	return op
}

func (g *lock) act(a *actor) Op {
	draw := g.random.Float64()
	switch {
	case a.session == "":
		value, err := json.Marshal(SessionValue{TTLMS: lockTTL.Milliseconds()})
		if err != nil {
			panic(err) // it always encodes
		}
		return Op{Op: nodes.Op{F: history.OpCreate, TTL: lockTTL}, Argument: value}
	case a.key == "" && draw < 0.9:
		return g.locking(history.OpAcquire, g.name(), a)
	case a.key == "":
		return g.about(history.OpRenew, a)
	case draw < 0.75:
		return g.about(history.OpRenew, a)
	case draw < 0.8: // one may acquire what one holds
		return g.locking(history.OpAcquire, a.key, a)
	case draw < 0.97:
		return g.locking(history.OpRelease, a.key, a)
	}
	return g.about(history.OpDestroy, a)
}

func (g *lock) about(f history.Op, a *actor) Op {
	return Op{Op: nodes.Op{F: f, Session: a.session}, Argument: quoted(a.session)}
}

func (g *lock) locking(f history.Op, key string, a *actor) Op {
	return Op{Op: nodes.Op{F: f, Key: key, Value: a.session, Session: a.session}, Argument: quoted(a.session)}
}

func quoted(text string) json.RawMessage { return json.RawMessage(strconv.Quote(text)) }

func (g *lock) name() string { return "lock" + strconv.Itoa(g.random.IntN(g.keys)) }

// Read implements Generator.
func (g *lock) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read()
}

func (g *lock) read() Op {
	return Op{Op: nodes.Op{F: history.OpRead, Key: g.name(), Mode: g.mode}}
}

// Finals implements Generator: what a lock holds at the end says nothing.
func (g *lock) Finals(int) []Op { return nil }

// Learn implements Generator. A session whose fate nobody knows is left to run out.
func (g *lock) Learn(op Op, a Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of, ok := op.Own.(*actor)
	if !ok {
		return // a read
	}
	next := *of
	switch {
	case a.Type == history.Info || a.Error == history.NoSession:
		next = actor{}
	case a.Type == history.Fail:
	case op.F == history.OpCreate:
		next = actor{session: a.Answer.Value}
	case op.F == history.OpDestroy:
		next = actor{}
	case op.F == history.OpAcquire:
		next.key = op.Key
	case op.F == history.OpRelease:
		next.key = ""
	}
	g.idle = append(g.idle, &next)
}

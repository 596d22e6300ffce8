package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// SessionValue is the value of an OpCreate in the history.
type SessionValue struct {
	Session     string `json:"session,omitempty"` // ID, in the answer
	TTLMS       int64  `json:"ttl_ms"`
	LockDelayMS int64  `json:"lock_delay_ms,omitempty"`
	Behavior    string `json:"behavior,omitempty"` // release or delete; histories of old do not say
}

const (
	defaultLocks = 3
	lockTTL      = 2 * time.Second // of a session
	lockDelay    = 2 * time.Second // of those that have one
	mostHeld     = 3               // locks that a session goes for at a time

	lookShare    = 0.15 // of operations that only look at a lock
	lateShare    = 0.08 // that are about a session which is given up, and has probably ended
	abandonShare = 0.02 // of operations before which an actor gives its session up

	rememberedSessions = 8 // that are given up
)

// lock has sessions compete for a few locks. Each of them is an actor, which makes one session
// after the other: it makes one, acquires locks, renews for a while, and releases, or
// destroys its session, or gives it up. Actors are not polite: they release what they do not
// hold, acquire what they hold, destroy a session that others wait for, and come back late
// with one that has ended. What they do is drawn, and not when: that is the runner's.
//
// Sessions with a lock delay have locks of their own, so that the others' change hands quickly.
type lock struct {
	keys  int
	mode  history.Mode
	plain bool

	mu     sync.Mutex
	random *rand.Rand
	idle   []*actor // those that have nothing under way
	given  []actor  // up: their sessions, the latest last
}

// actor is one session after the other, one operation at a time.
type actor struct {
	session string // "": it has none
	delayed bool   // the session has a lock delay
	keys    []string
}

// Lock is the workload lock.
func Lock() Workload {
	return Workload{
		Name: "lock",
		Doc:  "sessions that compete for a few locks, renew them, release them or run out, and do what they must not",
		Ops: []history.Op{history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease,
			history.OpRead},
		New:      NewLock,
		Checkers: []checker.Checker{checker.Mutex(), checker.Sessions()},
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
	return &lock{keys: o.Keys, mode: o.Mode, plain: o.PlainSessions, random: rand.New(rand.NewPCG(o.Seed, 1))}, nil
}

// Next implements Generator. There are as many actors as operations under way at a time,
// and some more.
func (g *lock) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch draw := g.random.Float64(); {
	case draw < lookShare:
		return g.look()
	case draw < lookShare+lateShare && len(g.given) > 0:
		return g.late()
	}
	a := &actor{}
	if n := len(g.idle); n > 0 {
		at := g.random.IntN(n)
		a, g.idle[at] = g.idle[at], g.idle[n-1]
		g.idle = g.idle[:n-1]
	}
	if a.session != "" && g.random.Float64() < abandonShare {
		g.giveUp(a)
		a = &actor{}
	}
	op := g.act(a)
	op.Own = a
	return op
}

func (g *lock) act(a *actor) Op {
	draw := g.random.Float64()
	switch {
	case a.session == "":
		return g.create()
	case len(a.keys) == 0 && draw < 0.75:
		return g.locking(history.OpAcquire, g.name(a.delayed), a)
	case len(a.keys) == 0 && draw < 0.85: // it holds nothing
		return g.locking(history.OpRelease, g.name(a.delayed), a)
	case len(a.keys) == 0 && draw < 0.95, draw < 0.5:
		return g.about(history.OpRenew, a)
	case draw < 0.58: // one may acquire what one holds
		return g.locking(history.OpAcquire, a.keys[g.random.IntN(len(a.keys))], a)
	case draw < 0.7 && len(a.keys) < mostHeld:
		return g.locking(history.OpAcquire, g.name(a.delayed), a)
	case draw < 0.9:
		return g.locking(history.OpRelease, a.keys[g.random.IntN(len(a.keys))], a)
	case draw < 0.94: // it may be another's
		return g.locking(history.OpRelease, g.name(a.delayed), a)
	}
	return g.about(history.OpDestroy, a)
}

// create draws what becomes of the session's keys at its end.
func (g *lock) create() Op {
	op := nodes.Op{F: history.OpCreate, TTL: lockTTL, DeletesKeys: g.plain || g.random.IntN(3) == 0}
	if !g.plain && g.random.IntN(4) == 0 {
		op.LockDelay = lockDelay
	}
	return Op{Op: op, Argument: sessionValue(op, "")}
}

func sessionValue(op nodes.Op, session string) json.RawMessage {
	v := SessionValue{Session: session, TTLMS: op.TTL.Milliseconds(), LockDelayMS: op.LockDelay.Milliseconds(), Behavior: "release"}
	if op.DeletesKeys {
		v.Behavior = "delete"
	}
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // it always encodes
	}
	return value
}

// late is an operation on a session that was given up.
func (g *lock) late() Op {
	a := &g.given[g.random.IntN(len(g.given))]
	switch g.random.IntN(4) {
	case 0:
		return g.locking(history.OpAcquire, g.name(a.delayed), a)
	case 1:
		return g.locking(history.OpRelease, g.name(a.delayed), a)
	}
	return g.about(history.OpRenew, a)
}

func (g *lock) giveUp(a *actor) {
	if len(g.given) == rememberedSessions {
		g.given = slices.Delete(g.given, 0, 1)
	}
	g.given = append(g.given, actor{session: a.session, delayed: a.delayed})
}

func (g *lock) about(f history.Op, a *actor) Op {
	return Op{Op: nodes.Op{F: f, Session: a.session}, Argument: quoted(a.session)}
}

func (g *lock) locking(f history.Op, key string, a *actor) Op {
	return Op{Op: nodes.Op{F: f, Key: key, Value: a.session, Session: a.session}, Argument: quoted(a.session)}
}

func quoted(text string) json.RawMessage { return json.RawMessage(strconv.Quote(text)) }

func (g *lock) name(delayed bool) string {
	return lockName(g.random.IntN(g.keys), delayed)
}

func lockName(i int, delayed bool) string {
	if delayed {
		return "delayed" + strconv.Itoa(i)
	}
	return "lock" + strconv.Itoa(i)
}

// Read implements Generator: a look at a lock, or the renewal of a session that was given up: a leader
// that was deposed, and does not know of the session's end, must not confirm it.
func (g *lock) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.given); n > 0 && g.random.IntN(2) == 0 {
		return g.about(history.OpRenew, &g.given[g.random.IntN(n)])
	}
	return g.look()
}

func (g *lock) look() Op {
	return lookAt(g.name(!g.plain && g.random.IntN(3) == 0), g.mode)
}

func lookAt(key string, mode history.Mode) Op {
	return Op{Op: nodes.Op{F: history.OpRead, Key: key, Mode: mode}, Record: recordEntry}
}

// Finals implements Generator: a look at every lock.
func (g *lock) Finals(most int) (ops []Op) {
	for i := range g.keys {
		ops = append(ops, lookAt(lockName(i, false), g.mode))
		if !g.plain {
			ops = append(ops, lookAt(lockName(i, true), g.mode))
		}
	}
	return ops[:min(len(ops), most)]
}

// Learn implements Generator. A session whose fate nobody knows is given up.
func (g *lock) Learn(op Op, o Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of, ok := op.Own.(*actor)
	if !ok {
		return // a look, or late
	}
	next := *of
	switch {
	case o.Type == history.Info || o.Error == history.NoSession || op.F == history.OpDestroy && o.Type == history.OK:
		if of.session != "" {
			g.giveUp(of)
		}
		next = actor{}
	case op.F == history.OpCreate && o.Type == history.OK:
		next = actor{session: o.Answer.Value, delayed: op.LockDelay > 0}
	case op.F == history.OpAcquire && o.Type == history.OK:
		if !slices.Contains(of.keys, op.Key) {
			next.keys = append(slices.Clone(of.keys), op.Key)
		}
	case op.F == history.OpRelease && o.Type == history.OK, o.Error == history.LockHeld:
		next.keys = slices.DeleteFunc(slices.Clone(of.keys), func(k string) bool { return k == op.Key })
	}
	g.idle = append(g.idle, &next)
}

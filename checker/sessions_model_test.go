package checker

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// lockModel is a store with sessions, in virtual time, and clients that ask it for anything. Each operation
// takes effect at one instant between its request and its answer; one whose answer is lost does so whenever it likes, or never.
type lockModel struct {
	random  *rand.Rand
	broken  string // the promise that it does not keep
	plain   bool   // answers to writes have no index
	keeps   bool   // a lock that its holder acquires again keeps its index
	now     int64
	index   uint64
	keys    map[string]*history.Entry
	state   map[string]*modelSession
	ids     []string         // of sessions, as they were made
	delays  map[string]int64 // until when, by key
	clients []*modelClient
	queue   effects
	ops     []history.Operation
}

type modelSession struct {
	ttl, delay, ends int64
	deletes          bool
	gone             bool
}

// modelClient does one thing after the other; all clients know all sessions.
type modelClient struct{ free int64 }

type effect struct {
	at int64
	do func()
}

type effects []effect

func (e effects) Len() int           { return len(e) }
func (e effects) Less(i, j int) bool { return e[i].at < e[j].at }
func (e effects) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *effects) Push(x any)        { *e = append(*e, x.(effect)) }
func (e *effects) Pop() any          { last := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return last }

const (
	modelTTL   = int64(2 * time.Second)
	modelDelay = int64(time.Second)
)

// playModel makes the history of some clients that ask for 15 s.
func playModel(seed uint64, broken string, shape int) *Run {
	m := &lockModel{random: rand.New(rand.NewPCG(seed, 4)), broken: broken, plain: shape == 1, keeps: shape == 2, keys: map[string]*history.Entry{},
		state: map[string]*modelSession{}, delays: map[string]int64{}, index: 10}
	for range 4 {
		m.clients = append(m.clients, &modelClient{})
	}
	for m.now < int64(15*time.Second) {
		c := slices.MinFunc(m.clients, func(a, b *modelClient) int { return int(min(1, max(-1, a.free-b.free))) })
		m.until(c.free)
		m.ask(c)
	}
	m.until(never)
	slices.SortStableFunc(m.ops, func(a, b history.Operation) int { return int(min(1, max(-1, a.Invoke-b.Invoke))) })
	run := &Run{Settings: Settings{Workload: "lock", RecoverWithin: 5 * time.Second}, Ops: m.ops}
	for at := range int64(30) { // one leader all along
		for _, node := range []string{"a", "b", "c"} {
			o := history.Observation{BootID: node, State: history.Follower, Term: 3}
			if node == "a" {
				o.State = history.Leader
			}
			text, err := json.Marshal(o)
			if err != nil {
				panic(err)
			}
			run.Events = append(run.Events, history.Event{Time: at * int64(time.Second), Process: history.Observer, F: history.FObserve, Node: node, Value: text})
		}
	}
	return run
}

// until lets pass time.
func (m *lockModel) until(t int64) {
	for len(m.queue) > 0 && m.queue[0].at <= t {
		e := heap.Pop(&m.queue).(effect)
		m.expire(e.at)
		e.do()
	}
	if t != never {
		m.expire(t)
	}
}

func (m *lockModel) expire(t int64) {
	for {
		var next *modelSession
		id := ""
		for _, name := range m.ids {
			if s := m.state[name]; !s.gone && s.ends <= t && (next == nil || s.ends < next.ends) {
				next, id = s, name
			}
		}
		if next == nil {
			m.now = max(m.now, t)
			return
		}
		m.now = max(m.now, next.ends)
		m.end(id)
	}
}

func (m *lockModel) renewed(s *modelSession) {
	s.ends = m.now + s.ttl + m.random.Int64N(s.ttl)
	if m.broken == "ends early" {
		s.ends = m.now + s.ttl/2
	}
	if m.broken == "never runs out" {
		s.ends = never
	}
}

func (m *lockModel) end(id string) {
	s := m.state[id]
	s.gone = true
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		e := m.keys[key]
		if e.Session != id {
			continue
		}
		if s.delay > 0 && m.broken != "ignores the lock delay" {
			m.delays[key] = m.now + s.delay
		}
		m.index++
		deletes := s.deletes
		switch m.broken {
		case "deletes instead of releasing":
			deletes = true
		case "releases instead of deleting":
			deletes = false
		}
		if deletes {
			delete(m.keys, key)
		} else {
			e.Session, e.ModifyIndex = "", m.index
		}
		if m.broken == "frees one key" {
			return
		}
	}
}

func (m *lockModel) alive(id string) bool { return !m.state[id].gone }

// ask has a client draw an operation.
func (m *lockModel) ask(c *modelClient) {
	asked := c.free
	effectAt := asked + 1 + m.random.Int64N(int64(60*time.Millisecond))
	answered := effectAt + 1 + m.random.Int64N(int64(60*time.Millisecond))
	op := history.Operation{ID: int64(len(m.ops)), Process: history.Process(len(m.ops)), Invoke: asked, Return: answered, Type: history.OK}
	c.free = answered + m.random.Int64N(int64(150*time.Millisecond))
	ids := m.ids
	key := fmt.Sprint("k", m.random.IntN(2))
	draw := m.random.IntN(100)
	at := len(m.ops)
	m.ops = append(m.ops, op)
	var do func(op *history.Operation)
	switch {
	case len(ids) < 2 || draw < 8:
		m.create(&m.ops[at], effectAt)
		return
	case draw < 30:
		op.F, op.Key, op.Mode = history.OpRead, key, history.ModeDefault
		do = m.read
	default:
		id := ids[max(0, len(ids)-1-m.random.IntN(4))]
		op.Input, _ = json.Marshal(id)
		do = m.about(&op, id, key, draw)
	}
	lost := op.F != history.OpRead && m.random.IntN(20) == 0
	if lost {
		effectAt += m.random.Int64N(int64(4 * time.Second))
		op.Type, op.Error, op.Return = history.Info, history.Timeout, history.Pending
	}
	m.ops[at] = op
	if lost && m.random.IntN(2) == 0 {
		return
	}
	heap.Push(&m.queue, effect{effectAt, func() {
		result := m.ops[at]
		do(&result)
		if !lost {
			m.ops[at] = result
		}
	}})
}

func (m *lockModel) create(op *history.Operation, at int64) {
	id := fmt.Sprintf("s%02d", len(m.state))
	s := &modelSession{ttl: modelTTL, deletes: m.random.IntN(2) == 0, ends: never}
	v := sessionMade{Session: id, TTLMS: s.ttl / 1e6, Behavior: "release"}
	if s.deletes {
		v.Behavior = "delete"
	}
	if m.random.IntN(3) == 0 {
		s.delay, v.LockDelayMS = modelDelay, modelDelay/1e6
	}
	op.F = history.OpCreate
	op.Output = json.RawMessage(fmt.Sprintf(`{"session":%q,"ttl_ms":%d,"lock_delay_ms":%d,"behavior":%q}`, id, v.TTLMS, v.LockDelayMS, v.Behavior))
	s.gone = true
	m.state[id], m.ids = s, append(m.ids, id)
	heap.Push(&m.queue, effect{at, func() { s.gone = false; m.renewed(s) }})
	op.Return = at + 1
	for _, c := range m.clients { // nobody uses it before its create was answered
		c.free = max(c.free, op.Return)
	}
}

func (m *lockModel) about(op *history.Operation, id, key string, draw int) func(*history.Operation) {
	switch {
	case draw < 45:
		op.F = history.OpRenew
		return func(op *history.Operation) { m.renew(op, id) }
	case draw < 49:
		op.F = history.OpDestroy
		return func(*history.Operation) {
			if m.alive(id) {
				m.end(id)
			}
		}
	case draw < 78:
		op.F, op.Key = history.OpAcquire, key
		return func(op *history.Operation) { m.acquire(op, id, key) }
	}
	op.F, op.Key = history.OpRelease, key
	return func(op *history.Operation) { m.release(op, id, key) }
}

func refuse(op *history.Operation, code history.Code) {
	op.Type, op.Error = history.Fail, code
}

func (m *lockModel) renew(op *history.Operation, id string) {
	switch {
	case m.broken == "knows no session" && m.random.IntN(10) == 0:
		refuse(op, history.NoSession)
	case m.alive(id):
		m.renewed(m.state[id])
	case m.broken != "renews the dead":
		refuse(op, history.NoSession)
	}
}

func (m *lockModel) acquire(op *history.Operation, id, key string) {
	e := m.keys[key]
	switch {
	case m.delays[key] > m.now: // of a session that has ended, perhaps its own
		refuse(op, history.LockHeld)
		return
	case !m.alive(id):
		refuse(op, history.NoSession)
		if e != nil && e.Session != "" && m.random.IntN(2) == 0 {
			op.Error = history.LockHeld // an etcd looks at the lock first
		}
		return
	case m.broken == "refuses what is free" && m.random.IntN(10) == 0,
		e != nil && e.Session != "" && e.Session != id && m.broken != "acquires what another holds":
		refuse(op, history.LockHeld)
		return
	}
	if e == nil {
		e = &history.Entry{CreateIndex: m.index + 1}
		m.keys[key] = e
	}
	if e.Session == "" && (m.broken != "keeps the lock index" || m.random.IntN(2) == 0) {
		e.LockIndex++
	}
	if e.Session != id || !m.keeps {
		m.index++
		e.ModifyIndex = m.index
	}
	e.Session, e.Value = id, id
	m.answer(op, e)
}

func (m *lockModel) release(op *history.Operation, id, key string) {
	e := m.keys[key]
	if e == nil || e.Session == "" || e.Session != id && m.broken != "releases for anyone" || m.broken == "refuses its holder" && m.random.IntN(3) == 0 {
		refuse(op, history.LockHeld)
		return
	}
	m.index++
	e.ModifyIndex, e.Session, e.Value = m.index, "", id
	m.answer(op, e)
}

func (m *lockModel) answer(op *history.Operation, e *history.Entry) {
	if !m.plain {
		op.ModifyIndex = e.ModifyIndex
	}
}

func (m *lockModel) read(op *history.Operation) {
	e := m.keys[op.Key]
	if m.broken == "loses a key" && m.random.IntN(20) == 0 {
		delete(m.keys, op.Key)
		e = nil
	}
	op.Output = history.Null
	if e != nil {
		shown := *e
		if m.broken == "shows another value" && m.random.IntN(10) == 0 {
			shown.Value = "else"
		}
		op.Output, _ = json.Marshal(shown)
		op.ModifyIndex = e.ModifyIndex
	}
}

// A store that keeps its promises is never blamed.
func TestSessionsOfACorrectStore(t *testing.T) {
	seeds := seedsOf(t, 200, 20)
	for shape := range 3 {
		valid := uint64(0)
		for seed := range seeds {
			run := playModel(seed, "", shape)
			for _, check := range []func(*Run) Result{
				func(r *Run) Result { return checkSessions(t.Context(), r) },
				func(r *Run) Result { return checkMutex(t.Context(), r) },
			} {
				r := check(run)
				require.NotEqual(t, Invalid, r.Verdict, "seed %d, shape %d: %s %v", seed, shape, r.Summary, r.Counterexamples)
				if r.Verdict == Valid {
					valid++
				}
			}
		}
		require.Greater(t, valid, seeds*5/4)
	}
}

// One that breaks a promise is found out, more often than not; where answers to writes have no index, some of them.
func TestSessionsOfABrokenStore(t *testing.T) {
	seeds := min(30, seedsOf(t, 30, 6))
	for _, c := range []struct {
		broken        string
		indexed, bare int // found of 30, with indexes and without
	}{
		{"ends early", 25, 25},
		{"never runs out", 10, 10},
		{"frees one key", 8, 6},
		{"ignores the lock delay", 6, 0},
		{"deletes instead of releasing", 20, 10},
		{"releases instead of deleting", 25, 20},
		{"knows no session", 25, 25},
		{"renews the dead", 25, 25},
		{"refuses what is free", 10, 10},
		{"acquires what another holds", 25, 25},
		{"keeps the lock index", 10, 10},
		{"releases for anyone", 25, 25},
		{"refuses its holder", 20, 20},
		{"loses a key", 25, 20},
		{"shows another value", 15, 0},
	} {
		t.Run(c.broken, func(t *testing.T) {
			for shape, want := range []int{c.indexed, c.bare} {
				caught := 0
				want = want * int(seeds) / 30
				for seed := uint64(0); seed < seeds && caught < want; seed++ {
					if checkSessions(t.Context(), playModel(seed, c.broken, shape)).Verdict == Invalid {
						caught++
					}
				}
				require.GreaterOrEqual(t, caught, want, "shape %d", shape)
			}
		})
	}
}

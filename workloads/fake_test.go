package workloads

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// store is a linearizable register store: every operation takes effect at one instant.
type store struct {
	mu    sync.Mutex
	index uint64
	items map[string]nodes.Answer

	lockService *fakeLocks
}

func newStore() *store { return &store{items: map[string]nodes.Answer{}} }

func (s *store) get(key string) nodes.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[key]
}

func (s *store) put(key, value string) nodes.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value)
}

func (s *store) set(key, value string) nodes.Answer {
	s.index++
	s.items[key] = nodes.Answer{Value: value, Found: true, Index: s.index}
	return s.items[key]
}

func (s *store) cas(key, value string, index uint64) (nodes.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.items[key]; was.Index != index {
		was.HasCurrent = true
		return was, nodes.Errorf(history.CASMismatch, "index is %d", was.Index)
	}
	return s.set(key, value), nil
}

// trouble is what happens to one call.
type trouble int

const (
	none   trouble = iota
	refuse         // a definite error, no effect
	lose           // an indefinite error, no effect
	forget         // an indefinite error, but the effect is there
	hang           // no answer until the time is up, and the effect comes after that
)

// fakeClient talks to a store over a slow network with trouble. It needs virtual time.
type fakeClient struct {
	*store
	mu      sync.Mutex
	random  *rand.Rand
	delay   time.Duration // the longest, each way
	trouble func(draw float64) trouble
	calls   int
}

func newClient(s *store, seed uint64) *fakeClient {
	return &fakeClient{store: s, random: rand.New(rand.NewPCG(seed, 1)), delay: 5 * time.Millisecond,
		trouble: func(float64) trouble { return none }}
}

func (c *fakeClient) draw() (there, back time.Duration, t trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	leg := func() time.Duration { return 1 + time.Duration(c.random.Int64N(int64(c.delay))) }
	return leg(), leg(), c.trouble(c.random.Float64())
}

func (c *fakeClient) call(ctx context.Context, effect func() (nodes.Answer, error)) (nodes.Answer, error) {
	there, back, t := c.draw()
	time.Sleep(there)
	switch t {
	case refuse:
		return nodes.Answer{}, nodes.Errorf(history.Refused, "fake")
	case lose:
		return nodes.Answer{}, nodes.Errorf(history.ConnectionLost, "fake")
	case forget:
		_, _ = effect() // nobody learns of it
		return nodes.Answer{}, nodes.Errorf(history.LeadershipLost, "fake")
	case hang:
		<-ctx.Done()
		go func() {
			time.Sleep(back)
			_, _ = effect() // nobody learns of it
		}()
		return nodes.Answer{}, nodes.Errorf(history.Timeout, "fake: %v", ctx.Err())
	}
	item, err := effect()
	time.Sleep(back)
	return item, err
}

func (c *fakeClient) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	if s := c.locks(); op.F != history.OpWrite && op.F != history.OpCAS && (op.F != history.OpRead || strings.Contains(op.Key, "lock") || strings.Contains(op.Key, "delayed")) {
		return c.call(ctx, func() (nodes.Answer, error) { return s.do(op) })
	}
	return nodes.Dispatch(ctx, c, op)
}

func (c *fakeClient) Get(ctx context.Context, key string, _ history.Mode) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) { return c.get(key), nil })
}

func (c *fakeClient) Put(ctx context.Context, key, value string) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) { return c.put(key, value), nil })
}

func (c *fakeClient) CAS(ctx context.Context, key, value string, index uint64) (nodes.Answer, error) {
	return c.call(ctx, func() (nodes.Answer, error) { return c.cas(key, value, index) })
}

func (c *fakeClient) Observe(context.Context) (history.Observation, error) {
	return history.Observation{}, nil
}
func (c *fakeClient) Leave(context.Context) error            { return nil }
func (c *fakeClient) Transfer(context.Context, string) error { return nil }
func (c *fakeClient) Close()                                 {}

// bench is a runner over three fake nodes, and the log that it writes.
type bench struct {
	*Runner
	t       *testing.T
	path    string
	clients map[string]*fakeClient
}

func newBench(t *testing.T, change func(*Config)) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "history.jsonl"), clients: map[string]*fakeClient{}}
	log, err := history.Create(b.path)
	require.NoError(t, err)
	gen, err := NewRegister(Options{Seed: 7})
	require.NoError(t, err)
	c := Config{Generator: gen, Log: log, Nodes: []string{"a", "b", "c"}, Clients: map[string]nodes.Conn{},
		Concurrency: 6, Timeout: 500 * time.Millisecond}
	s := newStore()
	for i, n := range c.Nodes {
		b.clients[n] = newClient(s, uint64(i))
		c.Clients[n] = b.clients[n]
	}
	if change != nil {
		change(&c)
	}
	b.Runner, err = NewRunner(c)
	require.NoError(t, err)
	return b
}

// run runs for d.
func (b *bench) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(b.t.Context(), d)
	defer cancel()
	require.NoError(b.t, b.Run(ctx))
}

// troubles draws troubles with these chances for every node.
func (b *bench) troubles(chances map[trouble]float64) {
	for _, c := range b.clients {
		c.setTrouble(func(draw float64) trouble {
			for t := refuse; t <= hang; t++ {
				if draw -= chances[t]; draw < 0 {
					return t
				}
			}
			return none
		})
	}
}

// setTrouble changes what happens to a node's calls from now on.
func (c *fakeClient) setTrouble(t func(draw float64) trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble = t
}

// finish closes the log and reads it back.
func (b *bench) finish() ([]history.Event, []history.Operation) {
	time.Sleep(time.Second) // late effects of hung calls happen in the bubble too
	require.NoError(b.t, b.Log.(*history.Log).Close())
	events, truncated, err := history.ReadFile(b.path)
	require.NoError(b.t, err)
	require.False(b.t, truncated)
	ops, err := history.Operations(events)
	require.NoError(b.t, err)
	return events, ops
}

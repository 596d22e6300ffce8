package workloads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

// drainGrace is how much later than its timeout an operation may return before the
// client is taken to be stuck.
const drainGrace = 5 * time.Second

// Config is what a Runner needs.
type Config struct {
	Generator   Generator
	Clients     map[string]nodes.Conn // by node
	Nodes       []string              // in the order in which threads are dealt to them
	DCs         map[string]string     // datacenter of each node; nil: it matters to nobody
	Log         history.Sink
	Rate        float64       // operations a second over all threads; 0 means as fast as possible
	Concurrency int           // threads
	Timeout     time.Duration // of one operation
	// LeastTimeout: the timeout of each operation of Run is drawn between it and Timeout, log-uniform;
	// 0 means that all have Timeout. Bursts and final reads always have it.
	LeastTimeout time.Duration
	Seed         uint64 // of those draws
}

func (c Config) validate() error {
	switch {
	case c.Generator == nil || c.Log == nil:
		return errors.New("workloads: a runner needs a generator and a log")
	case len(c.Nodes) == 0:
		return errors.New("workloads: no nodes to talk to")
	case c.Concurrency < 1:
		return fmt.Errorf("workloads: concurrency is %d; at least 1 is needed", c.Concurrency)
	case c.Timeout <= 0:
		return fmt.Errorf("workloads: the timeout of an operation is %v; it must be longer than 0", c.Timeout)
	case c.LeastTimeout < 0 || c.LeastTimeout > c.Timeout:
		return fmt.Errorf("workloads: the least timeout of an operation is %v; want 0 to the timeout of %v", c.LeastTimeout, c.Timeout)
	case c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("workloads: the rate is %v; want operations a second, or 0 for as fast as possible", c.Rate)
	}
	for _, n := range c.Nodes {
		if c.Clients[n] == nil {
			return fmt.Errorf("workloads: no client for node %s", n)
		}
	}
	return nil
}

// Runner plays a Generator with concurrent clients.
//
// It has Concurrency threads, each of which talks to one node forever. A thread acts as
// one process at a time: first as the process with its own number, and after an info,
// which retires a process, as the one Concurrency further on. So process modulo
// Concurrency is the thread.
type Runner struct {
	Config
	threads  []thread
	playing  atomic.Bool
	underWay underWay
	pace     *pacer
	timeouts *timeouts
	tally    tally
	inflight inflight
	oneShots atomic.Int64

	mu     sync.Mutex
	failed error       // the first event that could not be recorded
	finals []finalRead // that Final has made
}

type thread struct {
	process history.Process
	node    string
	backoff backoff
}

// NewRunner makes a Runner at rest.
func NewRunner(c Config) (*Runner, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	r := &Runner{Config: c, pace: newPacer(c.Rate), timeouts: newTimeouts(c), tally: tally{byF: map[history.Op]*Counts{}, ways: map[Way]Served{}}}
	for i := range c.Concurrency {
		r.threads = append(r.threads, thread{process: history.Process(i), node: c.Nodes[i%len(c.Nodes)]})
	}
	return r, nil
}

// Run plays until ctx ends, and then waits for the operations that are under way. Their
// own timeout bounds them, not ctx, so that each is recorded with its true end. The
// error is nil unless the history could not be written or a client is stuck. Run may be
// called again when it has returned nil.
func (r *Runner) Run(ctx context.Context) error {
	if !r.playing.CompareAndSwap(false, true) {
		return errors.New("workloads: the runner is running already, or a client of it is stuck")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for i := range r.threads {
		r.inflight.Go(func() {
			if !r.play(ctx, &r.threads[i]) {
				stop()
			}
		})
	}
	<-ctx.Done()
	if err := r.Drain(); err != nil {
		return err
	}
	r.playing.Store(false)
	return nil
}

// play is one thread. It returns false if the history cannot be written.
func (r *Runner) play(ctx context.Context, t *thread) bool {
	for r.pace.wait(ctx) {
		answer, recorded := r.do(t.process, t.node, r.next(t.node), r.timeouts.next(), nil)
		if !recorded {
			return false
		}
		if answer.Type == history.Info {
			t.process += history.Process(r.Concurrency)
		}
		if answer.Type == history.OK || answer.Error.Served() {
			t.backoff.reset()
			continue
		}
		if !sleep(ctx, t.backoff.next()) {
			break
		}
	}
	return true
}

// next is the next operation of a client of a node.
func (r *Runner) next(node string) Op {
	if g, ok := r.Generator.(Placed); ok && r.DCs != nil {
		return g.NextAt(r.DCs[node])
	}
	return r.Generator.Next()
}

// read is what a burst at a node asks for.
func (r *Runner) read(node string) Op {
	if g, ok := r.Generator.(Placed); ok && r.DCs != nil {
		return g.ReadAt(r.DCs[node])
	}
	return r.Generator.Read()
}

// do has process perform and record one operation, which it gives up after timeout. It returns false if the history cannot
// be written, and keeps the reason for Err. sending, unless it is nil, is called right
// before the request is handed to the client, or when that is not going to happen.
func (r *Runner) do(process history.Process, node string, op Op, timeout time.Duration, sending func()) (Outcome, bool) {
	_, err := r.Log.Add(invocation(process, node, op))
	if sending != nil {
		sending()
	}
	if err != nil {
		r.fail(err)
		return Outcome{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	end := r.underWay.begin(r.DCs[node], cmp.Or(op.DC, r.DCs[node]))
	answer := perform(ctx, r.Clients[node], op)
	end()
	cancel()
	if _, err := r.Log.Add(completion(process, node, op, answer)); err != nil {
		r.fail(err)
		return Outcome{}, false
	}
	r.tally.add(Way{node, op.DC}, op.F, answer)
	r.Generator.Learn(op, answer)
	return answer, true
}

func (r *Runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// Err is the first failure to write the history, if any.
func (r *Runner) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Drain waits until nothing is under way, and no longer than an operation can take. It
// returns the first failure to write the history. If clients do not return although
// their time is up, it says so and leaves their operations open, which is how the history
// tells that nobody knows their end.
func (r *Runner) Drain() error {
	stuck := r.inflight.wait(r.Timeout + drainGrace)
	if err := r.Err(); err != nil {
		return err
	}
	if stuck > 0 {
		return fmt.Errorf("workloads: %d operations did not return within %v of their timeout of %v",
			stuck, drainGrace, r.Timeout)
	}
	return nil
}

// Stats is what the Runner has seen so far. It is cheap, and may be called at any time.
func (r *Runner) Stats() Stats { return r.tally.snapshot() }

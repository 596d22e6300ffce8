package workloads

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"faultline/workloads/history"
)

// firstOneShot is where the processes of bursts and final reads begin. A thread that
// retires a process with every single operation needs years to come so far.
const firstOneShot = 1_000_000_000_000

func (r *Runner) oneShot() history.Process {
	return history.Process(firstOneShot + r.oneShots.Add(1) - 1)
}

// Burst fires reads, or what else the generator gives in their place, at one node, all at once and each by a process of its own, while Run
// goes on or not. It returns when every one of them has been handed to the client; they
// are recorded as they complete, and Run and Drain wait for them.
//
// A node that wakes from a pause finds them in its socket: it answers them before it
// learns how late it is, which is when a deposed leader gives itself away.
func (r *Runner) Burst(ctx context.Context, node string, reads int) error {
	if r.Clients[node] == nil {
		return fmt.Errorf("workloads: no client for node %s", node)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var sent sync.WaitGroup
	for range reads {
		sent.Add(1)
		r.inflight.Go(func() {
			r.do(r.oneShot(), node, r.read(node), r.Timeout, sent.Done)
		})
	}
	sent.Wait()
	return r.Err()
}

// finalKeys is how many keys Final reads at most.
const finalKeys = 200

// Final reads the keys that were used last, from one node after the other. A read that
// failed is done again at the next node, until every key was read once or ctx ends. Keys
// that were not read then are no error but counted in Stats: whether a system must answer
// by now is for the checkers to say.
func (r *Runner) Final(ctx context.Context) error {
	ops := r.Generator.Finals(finalKeys)
	r.tally.toRead(len(ops))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if len(ops) == 0 {
		stop()
	}
	var next atomic.Int64
	for range min(r.Concurrency, len(ops)) {
		r.inflight.Go(func() {
			f := finalReader{Runner: r, process: r.oneShot()}
			for i := next.Add(1) - 1; i < int64(len(ops)); i = next.Add(1) - 1 {
				if !f.read(ctx, ops[i], int(i)) || r.tally.read() == 0 {
					stop()
					return
				}
			}
		})
	}
	<-ctx.Done()
	return r.Drain()
}

// finalReader is one of the clients of Final.
type finalReader struct {
	*Runner
	process history.Process
	backoff backoff
}

// read reads one key, first at the node with the number node, until it is read. It
// returns false if ctx ended first or the history cannot be written.
func (f *finalReader) read(ctx context.Context, op Op, node int) bool {
	for ctx.Err() == nil {
		answer, recorded := f.do(f.process, f.Nodes[node%len(f.Nodes)], op, f.Timeout, nil)
		switch {
		case !recorded:
			return false
		case answer.Type == history.OK:
			f.keep(finalRead{op, found(op, answer.Answer)})
			f.backoff.reset()
			return true
		case answer.Type == history.Info:
			f.process = f.oneShot()
		}
		node++
		sleep(ctx, f.backoff.next())
	}
	return false
}

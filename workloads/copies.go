package workloads

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"faultline/workloads/history"
)

// finalRead is a read of Final that was answered, and the recorded form of what it found.
type finalRead struct {
	Op
	value json.RawMessage
}

// held reports whether a session held the key: time alone may end that, so what others find later may differ.
func (f finalRead) held() bool {
	var e history.Entry
	return json.Unmarshal(f.value, &e) == nil && e.Session != ""
}

func (r *Runner) keep(f finalRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finals = append(r.finals, f)
}

const (
	firstPause = 50 * time.Millisecond // between two rounds of questions to one server
	mostPause  = time.Second
	// silentRounds of a server in a row, and nobody asks it for its copy any more: whether it must answer is for
	// others to judge.
	silentRounds = 3
)

// Copies asks each of some servers for what it holds itself of the keys that Final has read, in the
// read mode that is answered so, and again of those that are not as Final found them, until all
// are or ctx ends, and then once more. Keys that a session held are left out. It comes after Final. Answers are recorded as events of the observer, since
// they are no client's: they promise nothing, and no checker of clients' operations is to see them.
func (r *Runner) Copies(ctx context.Context, mode history.Mode, servers []string) error {
	for _, node := range servers {
		if r.Clients[node] == nil {
			return fmt.Errorf("workloads: no client for node %s", node)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var left atomic.Int64
	left.Store(int64(len(servers)))
	r.mu.Lock()
	wanted := slices.Clone(r.finals)
	r.mu.Unlock()
	for i := range wanted {
		wanted[i].Mode = mode
	}
	for _, node := range servers {
		r.inflight.Go(func() {
			r.copiesOf(ctx, node, r.own(node, wanted))
			if left.Add(-1) == 0 {
				stop()
			}
		})
	}
	if len(servers) > 0 {
		<-ctx.Done()
	}
	return r.Drain()
}

// own are the reads of what stays as it is in a node's own datacenter, as the node is asked for it without any name.
func (r *Runner) own(node string, all []finalRead) (own []finalRead) {
	for _, f := range all {
		if (f.DC == "" || r.DCs == nil || f.DC == r.DCs[node]) && !f.held() {
			f.DC = ""
			own = append(own, f)
		}
	}
	return own
}

// copiesOf asks one server, one question at a time.
func (r *Runner) copiesOf(ctx context.Context, node string, wanted []finalRead) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.Timeout, cancel) }) // for what is under way, and the last round
	defer stop()
	pause, silent := firstPause, 0
	for {
		last := ctx.Err() != nil
		var answered bool
		if wanted, answered = r.copyRound(asking, node, wanted); answered {
			silent = 0
		} else {
			silent++
		}
		if len(wanted) == 0 || last || silent == silentRounds || r.Err() != nil {
			return
		}
		sleep(ctx, pause)
		pause = min(2*pause, mostPause)
	}
}

// copyRound asks a server for its copy of some keys, and returns those that are not as Final found them. The
// first question without an answer ends the round, since those after it would take as long.
func (r *Runner) copyRound(ctx context.Context, node string, wanted []finalRead) (left []finalRead, answered bool) {
	for i, f := range wanted {
		if ctx.Err() != nil {
			return append(left, wanted[i:]...), false
		}
		asked, cancel := context.WithTimeout(ctx, r.Timeout)
		outcome := perform(asked, r.Clients[node], f.Op)
		cancel()
		e := history.Event{Process: history.Observer, Type: history.Info, F: history.FCopy, Key: f.Key, Node: node, Mode: f.Mode, Error: outcome.Error}
		if outcome.Type == history.OK {
			e.Value, e.ModifyIndex = found(f.Op, outcome.Answer), outcome.Answer.Index
		}
		if _, err := r.Log.Add(e); err != nil {
			r.fail(err)
			return wanted[i:], false
		}
		if outcome.Type != history.OK {
			return append(left, wanted[i:]...), false
		}
		if !bytes.Equal(e.Value, f.value) {
			left = append(left, f)
		}
	}
	return left, true
}

//go:build linux

package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"faultline/nodes"
	"faultline/nodes/local/space"
	"faultline/workloads/history"
)

// supervisor is the way to what starts a pod's node and knows how it ended.
type supervisor struct {
	stream *os.File
	record func(space.Event) // told of every event first, in order
	gone   func(error) error // explains why the stream ended

	mu      sync.Mutex
	now     supervisorState
	changed chan struct{} // closed at the next change
}

// supervisorState is what has been heard so far.
type supervisorState struct {
	ready    bool
	starting bool                 // somebody has asked for a start, and no answer has come
	running  bool                 // the node's process is
	failed   string               // why the last start failed
	ended    history.ProcessEvent // the end of the last process
	broken   error                // no more will be heard, because the pod is gone
}

func newSupervisor(stream *os.File, record func(space.Event), gone func(error) error) *supervisor {
	k := &supervisor{stream: stream, record: record, gone: gone, changed: make(chan struct{})}
	go k.listen()
	return k
}

func (k *supervisor) listen() {
	events := json.NewDecoder(k.stream)
	for {
		var e space.Event
		if err := events.Decode(&e); err != nil {
			err = k.gone(err)
			k.change(func(s *supervisorState) { s.running, s.starting, s.broken = false, false, err })
			return
		}
		k.record(e)
		k.change(func(s *supervisorState) {
			switch e.Kind {
			case space.Ready:
				s.ready = true
			case space.Started:
				s.starting, s.running = false, true
			case space.Failed:
				s.starting, s.failed = false, e.Text
			case space.Ended:
				s.running, s.ended = false, e.Process("")
			}
		})
	}
}

func (k *supervisor) change(edit func(*supervisorState)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	edit(&k.now)
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *supervisor) look() (supervisorState, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now, k.changed
}

// until waits for a state; that of a pod that is gone never comes.
func (k *supervisor) until(ctx context.Context, wanted func(supervisorState) bool) (supervisorState, error) {
	for {
		now, changed := k.look()
		switch {
		case wanted(now):
			return now, nil
		case now.broken != nil:
			return now, now.broken
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return now, context.Cause(ctx)
		}
	}
}

// waitEnd waits until no process of the node is there.
func (k *supervisor) waitEnd(ctx context.Context) error {
	_, err := k.until(ctx, func(s supervisorState) bool { return !s.running && !s.starting })
	return err
}

// start starts the node, as soon as its last process has ended. One may start at a time.
func (k *supervisor) start(ctx context.Context, launch nodes.Launch) error {
	if err := k.waitEnd(ctx); err != nil {
		return err
	}
	order, err := json.Marshal(space.Order{Start: launch})
	if err != nil {
		return err
	}
	k.change(func(s *supervisorState) { s.starting, s.failed, s.ended = true, "", history.ProcessEvent{} })
	if _, err := k.stream.Write(append(order, '\n')); err != nil {
		return k.gone(err)
	}
	now, err := k.until(ctx, func(s supervisorState) bool { return !s.starting })
	if err == nil && now.broken != nil {
		err = now.broken
	}
	if err == nil && now.failed != "" {
		err = errors.New(now.failed)
	}
	if err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	return nil
}

package faultline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"faultline/workloads/history"
)

// gatedSink takes events until it is shut.
type gatedSink struct {
	history.Sink

	mu      sync.RWMutex
	refuses error // once shut: why
}

func (g *gatedSink) Add(e history.Event) (int64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.refuses != nil {
		return 0, g.refuses
	}
	return g.Sink.Add(e)
}

// shut refuses all further events, after the last ones.
func (g *gatedSink) shut(why error, last ...history.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuses != nil {
		return
	}
	for _, e := range last {
		_, _ = g.Sink.Add(e) // whoever owns the sink learns of its failure there
	}
	g.refuses = fmt.Errorf("the history takes no more events: %w", why)
}

// watch writes what the runtime tells of the nodes' processes into the history, until stop
// is called, which may be done twice. When the runtime says that the cluster is lost, the
// history has that as its last event, and the session is aborted; lost then says how.
func (s *session) watch() (lost func() error, stop func()) {
	watching, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var how error
	work.Go(func() {
		err := s.cluster.Watch(watching, s.keepProcess)
		switch {
		case watching.Err() != nil:
			return
		case err == nil:
			err = errors.New("its runtime stopped telling of processes, and did not say why")
		}
		how = err
		s.log.shut(&LostError{err}, lossOf(err))
		s.Progress.Say((&LostError{err}).Error())
		s.abort(&LostError{err})
	})
	stop = func() { cancel(); work.Wait() }
	return func() error { work.Wait(); return how }, stop
}

func (s *session) keepProcess(p history.ProcessEvent) {
	p.When = s.log.At(p.At)
	value, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	// A log that cannot be written stops the run through the clients, who use the same one.
	_, _ = s.log.Add(history.Event{Process: history.Runtime, Type: history.Info, F: history.FProcess, Node: p.Node, Value: value})
}

func lossOf(how error) history.Event {
	value, err := json.Marshal(strings.ReplaceAll(how.Error(), "\n", "; "))
	if err != nil {
		panic(err) // a string always encodes
	}
	return history.Event{Process: history.Harness, Type: history.Info, F: history.FLost, Value: value}
}

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

// watch writes what the runtime tells of the nodes' processes into the history, until stop
// is called, which may be done twice. lost ends, with the reason as its cause, when the
// runtime says that the cluster is lost; the history has that too, as its last event but the
// seal.
func (s *session) watch() (lost context.Context, stop func()) {
	lost, lose := context.WithCancelCause(context.Background())
	watching, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		err := s.cluster.Watch(watching, s.keepProcess)
		switch {
		case watching.Err() != nil:
			return
		case err == nil:
			err = errors.New("its runtime stopped telling of processes, and did not say why")
		}
		s.keepLoss(err)
		lose(err)
	})
	return lost, func() { cancel(); work.Wait() }
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

func (s *session) keepLoss(how error) {
	value, err := json.Marshal(strings.ReplaceAll(how.Error(), "\n", "; "))
	if err != nil {
		panic(err) // a string always encodes
	}
	_, _ = s.log.Add(history.Event{Process: history.Harness, Type: history.Info, F: history.FLost, Value: value})
}

// ready waits until the cluster is, or is lost.
func (s *session) ready(ctx, lost context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(lost, func() { cancel(fmt.Errorf("the cluster was lost before it was ready: %w", context.Cause(lost))) })
	defer stop()
	return s.observer.ready(ctx, readyWithin)
}

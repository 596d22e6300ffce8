package faultline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"faultline/nemesis"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads"
	"faultline/workloads/history"
)

const (
	warmUp         = 2 * time.Second // clients run alone before the schedule's time 0
	readyWithin    = time.Minute
	finalWithin    = 30 * time.Second
	settlePoll     = 100 * time.Millisecond
	endWithin      = time.Second     // what is left of a session that is aborted
	interruptQuiet = 4 * time.Second // a user who pressed Ctrl-C does not wait for the whole quiet
)

// Plan is what a session plays on a cluster.
type Plan struct {
	Topology  topologies.Topology
	System    nodes.System // gives the clients and its facts; nothing else is asked of it
	Schedule  nemesis.Schedule
	Generator workloads.Generator

	Rate        float64       // operations a second over all clients
	Concurrency int           // client processes
	Timeout     time.Duration // of one operation
	// LeastTimeout: the timeout of each operation is drawn between it and Timeout; 0: all have Timeout.
	LeastTimeout time.Duration
	Seed         uint64 // of those draws

	TimeLimit     time.Duration // from the first operation to the last heal
	Quiet         time.Duration // after it, for recovery, before the final reads
	RecoverWithin time.Duration // how long after the last heal the final reads wait for nodes that do not answer yet

	Name     string   // as in Status
	Progress Progress // told what happens; may be nil
	// Ready is called once the cluster is; an error ends the session. Resolved is given the
	// schedule with live roles replaced by names, once it was played. Both may be nil.
	Ready    func() error
	Resolved func(nemesis.Schedule) error
	// Abort gives up even recovery and final reads when it ends; nil never does.
	Abort context.Context

	broken *broken // shared with whoever guards the cluster; nil: the session's own
}

// LostError says that the cluster was lost: a pod, the engine or what keeps it is gone, by
// no doing of the session.
type LostError struct{ Cause error }

func (e *LostError) Error() string { return "the cluster is lost: " + e.Cause.Error() }

func (e *LostError) Unwrap() error { return e.Cause }

// errNotReady is in the chain of errors of a cluster that never came up.
var errNotReady = errors.New("the cluster was not ready")

// Play plays a plan on a cluster that has been started, and writes down what happens; the
// sink stays the caller's. It knows no operating system: it touches no file, process or
// signal, waits by package time alone, and leaves no goroutine behind, unless the cluster
// or a client ignores that its context has ended. So it runs in virtual time too.
//
// When ctx ends, faults are healed, recovery and final reads are made, and the error is nil:
// the history tells of the interrupt. A *LostError means that the cluster was lost; nothing
// is written down after that. Any other error means that the session broke off.
func Play(ctx context.Context, p Plan, cluster nodes.Cluster, sink history.Sink) error {
	s := newSession(p, cluster, sink)
	defer s.close()
	return s.play(ctx)
}

// session is the state of one Play.
type session struct {
	Plan
	cluster  nodes.Cluster
	clients  map[string]nodes.Conn
	observer *observer
	members  membership
	wan      wanPool
	runner   *workloads.Runner
	log      *gatedSink
	names    []string
	asked    []string // those that clients of the workload ask: spares are not there for most of a run
	abort    context.CancelCauseFunc

	mu     sync.Mutex
	phase  history.Phase
	until  time.Time // end of the quiet phase
	faults []string
}

func newSession(p Plan, cluster nodes.Cluster, sink history.Sink) *session {
	if p.Progress == nil {
		p.Progress = silent{}
	}
	if p.broken == nil {
		p.broken = newBroken()
	}
	if p.Abort == nil {
		p.Abort = context.Background()
	}
	s := &session{Plan: p, cluster: cluster, clients: map[string]nodes.Conn{}, log: &gatedSink{Sink: sink}}
	s.Abort, s.abort = context.WithCancelCause(p.Abort)
	for _, n := range p.Topology.Nodes() {
		s.names = append(s.names, n.Name)
		s.clients[n.Name] = nodes.GuardedConn(p.System.Open(cluster.Endpoint(n.Name)), n.Name, p.broken.by)
	}
	for _, n := range p.Topology.Started() {
		s.asked = append(s.asked, n.Name)
	}
	s.wan = newWANPool(p.Topology, s.clients, s.log)
	s.observer = &observer{nodes: p.Topology.Nodes(), clients: s.clients, log: s.log, broken: p.broken, last: map[string]string{},
		leaders: p.System.Facts().Can(history.ObservesLeaders), wan: s.wan}
	s.members = newMembership(p.Topology, p.System, s.clients, s.log)
	return s
}

func (s *session) close() {
	s.abort(nil)
	for _, c := range s.clients {
		c.Close()
	}
}

// play watches the cluster, waits until it is ready and runs.
func (s *session) play(ctx context.Context) error {
	stop := context.AfterFunc(s.Abort, func() { s.log.shut(context.Cause(s.Abort)) })
	defer stop()
	lost, unwatch := s.watch()
	defer unwatch()
	if err := s.ready(ctx); err != nil {
		unwatch()
		if how := lost(); how != nil {
			err = fmt.Errorf("the cluster was lost before it was ready: %w", how)
		}
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	if s.Ready != nil {
		if err := s.Ready(); err != nil {
			return err
		}
	}
	err := s.bounded(ctx)
	unwatch()
	if how := lost(); how != nil {
		return &LostError{how}
	}
	if s.Abort.Err() != nil {
		return fmt.Errorf("%w: %w", ErrInterrupted, context.Cause(s.Abort))
	}
	return err
}

// bounded is run, which it leaves alone where that ignores that it was aborted: what of it
// still goes on meets a history that takes nothing more.
func (s *session) bounded(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- nodes.Guard("the run", func() error { return s.run(ctx) }) }()
	select {
	case err := <-done:
		return err
	case <-s.Abort.Done():
	}
	end := time.NewTimer(endWithin)
	defer end.Stop()
	select {
	case err := <-done:
		return err
	case <-end.C:
		return fmt.Errorf("it did not end within %v of its abort: something that was called ignores that its time is up", endWithin)
	}
}

// ready waits until the cluster is.
func (s *session) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.Abort, func() { cancel(context.Cause(s.Abort)) })
	defer stop()
	return s.observer.ready(ctx, readyWithin)
}

// run is the story of a session: faults, quiet, final reads. Only the first of them
// ends with ctx; what follows ends with Plan.Abort.
func (s *session) run(ctx context.Context) error {
	var err error
	s.runner, err = workloads.NewRunner(workloads.Config{Generator: s.Generator, Clients: s.clients, Nodes: s.asked, DCs: s.Topology.DatacenterOf(),
		Log: s.log, Rate: s.Rate, Concurrency: s.Concurrency, Timeout: s.Timeout, LeastTimeout: s.LeastTimeout, Seed: s.Seed})
	if err != nil {
		return err
	}
	playing, breakOff := context.WithCancel(ctx)
	defer breakOff()
	defer context.AfterFunc(s.broken, breakOff)()
	defer context.AfterFunc(s.Abort, breakOff)()

	watching, unwatch := context.WithCancel(s.Abort)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.observer.run(watching) })
	watchers.Go(func() { s.wan.run(watching) })
	watchers.Go(func() { newEcho(s.Topology, s.cluster, s.log).run(watching) })
	watchers.Go(func() { s.report(watching) })
	stopWatching := func() { unwatch(); watchers.Wait() }
	defer stopWatching()

	if err := s.enter(history.PhaseFaults, s.TimeLimit+s.Quiet); err != nil {
		return err
	}
	clients, rest := context.WithCancel(s.Abort)
	defer rest()
	ran := make(chan error, 1)
	go func() {
		err := s.runner.Run(clients)
		if err != nil {
			breakOff() // the history cannot be written: there is no point in going on
		}
		ran <- err
	}()

	playErr := s.playFaults(playing)
	healed, before := time.Now(), s.runner.Stats()
	quiet := s.Quiet
	switch {
	case ctx.Err() == nil && playing.Err() != nil:
		s.Progress.Say("broken off: the clients cannot go on")
	case errors.Is(context.Cause(ctx), errFound):
		s.Progress.Say("a violation was seen: healed, and over")
		quiet = 0
		playErr = errors.Join(playErr, s.enter(history.PhaseFound, quiet))
	case ctx.Err() != nil:
		s.Progress.Say("interrupted: healed, recovering before the final reads")
		quiet = min(quiet, interruptQuiet)
		playErr = errors.Join(playErr, s.enter(history.PhaseInterrupt, quiet))
	}
	playErr = errors.Join(playErr, s.enter(history.PhaseQuiet, quiet))
	found := errors.Is(context.Cause(ctx), errFound)
	if playErr == nil && !found {
		s.recover(ctx, quiet)
		s.settle(ctx, healed, before)
	}
	rest()
	if err := errors.Join(playErr, <-ran, s.broken.err()); err != nil {
		return err
	}
	if err := s.finalReads(ctx); err != nil {
		return err
	}
	if err := s.copies(ctx); err != nil {
		return err
	}
	if err := nemesis.Verify(s.Abort, s.world()); err != nil {
		return err
	}
	stopWatching() // nothing but the seal follows the end
	return errors.Join(s.broken.err(), s.enter(history.PhaseEnd, 0))
}

// recover waits for the quiet time, and after an interrupt for interruptQuiet at most.
func (s *session) recover(ctx context.Context, quiet time.Duration) {
	end := time.Now().Add(quiet)
	resting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.Abort, cancel)() // which may come before the history refuses what begins the phase
	sleep(resting, quiet)
	sleep(s.Abort, min(time.Until(end), interruptQuiet))
}

// settle waits until every node that should run answers and every server follows a leader, until
// every node serves what clients ask of it, every operation that succeeded before succeeds again, and
// the peer set is the servers, as is the pool of all datacenters, as long as they have for that since the last
// heal; checkers nodes, availability, members and wan judge whether they did.
func (s *session) settle(ctx context.Context, healed time.Time, before workloads.Stats) {
	ctx, cancel := context.WithDeadline(ctx, healed.Add(s.RecoverWithin))
	defer cancel()
	stop := context.AfterFunc(s.Abort, cancel)
	defer stop()
	var looking sync.WaitGroup
	looking.Go(func() { s.members.await(ctx, s.Abort) })
	looking.Go(func() { s.wan.await(ctx, s.Abort) })
	defer looking.Wait()
	for ctx.Err() == nil && (s.observer.missing(ctx) != "" || s.unserved(before, healed)) {
		sleep(ctx, settlePoll)
	}
}

// unserved reports whether a node that clients ask has not served both reads and changes since the
// heal, of the data of each datacenter that it is asked for, or an operation that had succeeded before has not since. What the workload never asks for,
// or not of that node, is not waited for.
func (s *session) unserved(before workloads.Stats, healed time.Time) bool {
	now := s.runner.Stats()
	meant := map[string]bool{}
	for way := range now.ByWay {
		meant[way.DC] = true
	}
	if len(meant) == 0 {
		return true
	}
	for _, node := range s.asked[:min(len(s.asked), s.Concurrency)] { // the others have no client
		for dc := range meant {
			if at := now.ByWay[workloads.Way{Node: node, DC: dc}]; at.Read.Before(healed) || at.Change.Before(healed) {
				return true
			}
		}
	}
	for f, counts := range before.ByF {
		if counts.OK > 0 && now.ByF[f].OK == counts.OK {
			return true
		}
	}
	return false
}

// playFaults plays the schedule and waits for the time limit.
func (s *session) playFaults(ctx context.Context) error {
	end := time.Now().Add(s.TimeLimit)
	sleep(ctx, warmUp)
	resolved, err := nemesis.Play(ctx, s.Schedule, s.world())
	if s.Resolved != nil {
		err = errors.Join(err, s.Resolved(resolved))
	}
	if err == nil {
		sleep(ctx, time.Until(end))
	}
	return err
}

func (s *session) world() nemesis.World {
	return nemesis.World{
		Topology: s.Topology, Cluster: s.cluster, Log: s.log,
		Conn:   func(node string) nodes.Conn { return s.clients[node] },
		Leader: s.observer.leader, Burst: s.runner.Burst, Open: s.runner.Open, Forwarded: s.runner.Forwarded, Notify: s.notify, Abort: s.Abort,
	}
}

// finalReads makes none where a violation has ended the run: they could not change its verdict.
func (s *session) finalReads(ctx context.Context) error {
	if err := s.enter(history.PhaseFinal, 0); err != nil || errors.Is(context.Cause(ctx), errFound) {
		return err
	}
	final, cancel := context.WithTimeout(s.Abort, finalWithin)
	defer cancel()
	return s.runner.Final(final)
}

// copies asks every server for what it holds itself of what was read last. That should soon be the
// same; the checker copies judges whether it was.
func (s *session) copies(ctx context.Context) error {
	mode := s.System.Facts().OwnCopy
	if mode == "" {
		return nil
	}
	var servers []string
	for _, n := range s.Topology.Servers() {
		servers = append(servers, n.Name)
	}
	within := s.RecoverWithin
	if ctx.Err() != nil {
		within = min(within, interruptQuiet)
	}
	agreeing, cancel := context.WithTimeout(s.Abort, within)
	defer cancel()
	return s.runner.Copies(agreeing, mode, servers)
}

// enter writes the beginning of a phase into the history.
func (s *session) enter(phase history.Phase, left time.Duration) error {
	s.mu.Lock()
	s.phase, s.until = phase, time.Now().Add(left)
	s.mu.Unlock()
	value, err := json.Marshal(phase)
	if err != nil {
		return err
	}
	_, err = s.log.Add(history.Event{Process: history.Harness, Type: history.Info, F: history.FPhase, Value: value})
	return err
}

func (s *session) notify(active []string) {
	s.mu.Lock()
	before := s.faults
	s.faults = active
	s.mu.Unlock()
	for _, f := range without(before, active) {
		s.Progress.Say("heal: " + f)
	}
	for _, f := range without(active, before) {
		s.Progress.Say("fault: " + f)
	}
}

// without is all but others, each as often as it is left.
func without(all, others []string) []string {
	others = slices.Clone(others)
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool {
		at := slices.Index(others, one)
		if at >= 0 {
			others = slices.Delete(others, at, at+1)
		}
		return at >= 0
	})
}

// report tells Progress the status once a second.
func (s *session) report(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		stats := s.runner.Stats()
		done := stats.OK + stats.Fail + stats.Info
		s.mu.Lock()
		status := Status{Scenario: s.Name, Phase: s.phase, Left: max(0, time.Until(s.until)), Faults: s.faults,
			OpsPerSec: float64(done - before), OK: stats.OK, Fail: stats.Fail, Info: stats.Info}
		s.mu.Unlock()
		status.Leader = s.observer.seenLeaders()
		before = done
		s.Progress.Status(status)
	}
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

type silent struct{}

func (silent) Say(string)    {}
func (silent) Status(Status) {}

package faultline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"faultline/nemesis"
	"faultline/nodes"
	"faultline/workloads"
	"faultline/workloads/history"
)

const (
	warmUp         = 2 * time.Second // clients run alone before the schedule's time 0
	readyWithin    = time.Minute
	finalWithin    = 30 * time.Second
	settlePoll     = 100 * time.Millisecond
	interruptQuiet = 4 * time.Second  // a user who pressed Ctrl-C does not wait for the whole quiet
	startWithin    = 10 * time.Minute // with what has to be built first
	closeWithin    = 30 * time.Second
	closeTries     = 3
	closePause     = time.Second
	logsWithin     = time.Minute     // to read the logs of all nodes
	mostOfAStep    = 5 * time.Minute // beyond its time: two changes and two actions, by their own limits
	mostOfTheRest  = 5 * time.Minute // the last heal, the baselines, the final reads
	lostLogsWithin = 5 * time.Second // to read the logs of a cluster that is lost
)

// Options are what a run needs beside its scenario.
type Options struct {
	Store    string          // where run directories go; "store" if empty
	System   nodes.System    // what to test instead of Scenario.System
	Runtime  nodes.Runtime   // where to run it instead of on Scenario.Runtime; may be a program's own
	Progress Progress        // told what happens; may be nil
	Log      *slog.Logger    // the harness's own log; may be nil
	Jobs     int             // how many scenarios of a suite run at a time; 0 is 1
	Keep     string          // a folder in which a suite keeps the schedules of runs that were invalid; empty: none
	Abort    context.Context // when it ends, even recovery and final reads are given up; may be nil
}

func (o Options) store() string { return cmp.Or(o.Store, "store") }

// Progress is told how a run comes along. Its methods are called by many goroutines.
type Progress interface {
	Say(text string) // something happened
	Status(Status)   // once a second
}

// Status is a run at one moment.
type Status struct {
	Scenario  string
	Phase     history.Phase
	Left      time.Duration // until the final reads
	OpsPerSec float64       // over the last second
	OK        uint64
	Fail      uint64
	Info      uint64
	Faults    []string
	Leader    string
}

// Run plays a scenario on a cluster of its own and judges it. When ctx ends in the
// middle, the faults are healed, what happened so far is judged, and the outcome says
// that it was interrupted. An error means that there is no outcome: a UsageError that
// nothing was run, ErrInterrupted that ctx ended too early, or Options.Abort did, and any
// other that the harness failed. Outcome.Dir then tells where the history is, if there
// is one; a run that never came so far leaves no directory.
func Run(ctx context.Context, s Scenario, o Options) (Outcome, error) {
	o.Store = o.store()
	if o.Progress == nil {
		o.Progress = silent{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Abort == nil {
		o.Abort = context.WithoutCancel(ctx)
	}
	p, err := makePlan(ctx, s.Drawn(), o)
	if err != nil {
		return Outcome{}, err
	}
	dir, record, err := newRunDir(o.Store, p)
	if err != nil {
		return Outcome{}, err
	}
	kept, err := play(ctx, p, o, dir, record)
	switch {
	case !kept && ctx.Err() != nil:
		return Outcome{}, errors.Join(cutOff(err), discard(dir))
	case !kept:
		return Outcome{}, errors.Join(fullDisk(dir, err), discard(dir))
	case err != nil:
		return Outcome{Dir: dir}, brokenOff(dir, err)
	case o.Abort.Err() != nil:
		return Outcome{Dir: dir}, fmt.Errorf("%w before it was judged; `faultline analyze %s` judges what there is", ErrInterrupted, dir)
	}
	o.Progress.Say("judging")
	return Analyze(o.Abort, dir)
}

// play starts the cluster, runs clients and nemesis on it, and removes it. It tells
// whether the run directory then holds something to keep.
func play(ctx context.Context, p *plan, o Options, dir string, record Record) (kept bool, err error) {
	for _, note := range p.notes {
		o.Progress.Say(note)
	}
	o.Progress.Say(fmt.Sprintf("starting %d nodes on %s (seed %d)", len(p.topology.Started()), p.runtime.Name(), p.scenario.Seed))
	began := time.Now()
	if err := p.build(ctx, dir, &record); err != nil {
		return false, err
	}
	broken := newBroken()
	cluster, err := p.start(ctx, broken, nodes.Spec{Run: runID(p.scenario.Name, record.Started), Topology: p.topology,
		System: p.system, Needs: p.schedule.Needs(p.topology), Baseline: p.topology.Baseline(), Log: o.Log, Progress: o.Progress.Say})
	switch {
	case ctx.Err() != nil && err != nil:
		return false, err
	case err != nil:
		return false, fmt.Errorf("start on %s: %w", p.runtime.Name(), err)
	}
	defer func() { err = errors.Join(err, remove(ctx, cluster), broken.err()) }()
	log, err := history.Create(filepath.Join(dir, fileHistory))
	if err != nil {
		return false, err
	}
	session := newSession(p, o, cluster, broken, log, dir)
	defer session.close()
	lost, unwatch := session.watch()
	defer unwatch()
	if err := session.ready(ctx, lost); err != nil {
		err = errors.Join(err, log.End())
		if ctx.Err() != nil {
			return false, err
		}
		return true, errors.Join(err, session.keepLogs(logsWithin))
	}
	o.Progress.Say(fmt.Sprintf("cluster ready after %.1f s", time.Since(began).Seconds()))
	if err := announce(dir); err != nil {
		return true, errors.Join(err, log.End())
	}
	done := make(chan error, 1)
	go func() {
		done <- nodes.Guard("the run", func() error { return session.run(ctx) })
	}()
	overdue := time.NewTimer(p.longest())
	defer overdue.Stop()
	// Where the session is left alone, what of it still goes on meets a log that is closed
	// and a cluster that is gone, and ends by its own timeouts.
	select {
	case err := <-done:
		unwatch()
		return true, errors.Join(err, log.End(), session.keepLogs(logsWithin))
	case <-o.Abort.Done():
		return true, log.End()
	case <-overdue.C:
		return true, errors.Join(fmt.Errorf("it did not end within %v: something that was called ignores that its time is up", p.longest()),
			log.End(), session.keepLogs(lostLogsWithin))
	case <-lost.Done():
		o.Progress.Say("the cluster is lost: " + context.Cause(lost).Error())
		if err := session.keepLogs(lostLogsWithin); err != nil {
			o.Progress.Say("not all logs of its nodes could be kept: " + err.Error())
		}
		return true, log.End()
	}
}

// start starts the cluster. One that comes up after it was given up is removed.
func (p *plan) start(ctx context.Context, broken *broken, spec nodes.Spec) (nodes.Cluster, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("not up within %v", startWithin))
	defer cancel()
	cluster, err := nodes.Bounded(ctx, closeWithin, "Start of the runtime",
		func(ctx context.Context) (nodes.Cluster, error) { return p.runtime.Start(ctx, spec) },
		func(late nodes.Cluster) { _ = remove(ctx, nodes.Guarded(late, broken.by)) }) // nobody waits for how that ends
	switch {
	case errors.Is(err, nodes.ErrGivenUp), errors.As(err, new(*nodes.Panicked)):
		return nil, fmt.Errorf("%w; %s", err, leftBehind)
	case err != nil:
		return nil, err
	}
	return nodes.Guarded(cluster, broken.by), nil
}

const leftBehind = "what it has made may still be there, so run `faultline clean`"

// longest is how long a run may take once its cluster is up, however slow its machine: the
// time that it was given, and what each step and what follows the steps may take at most.
func (p *plan) longest() time.Duration {
	s := p.scenario
	return s.TimeLimit + s.Quiet + s.RecoverWithin + s.Timeout + time.Duration(len(p.schedule.Steps))*mostOfAStep + mostOfTheRest
}

// remove takes the cluster away, even if ctx is over. A Close that failed is called again: it
// may only have met something that has passed by then.
func remove(ctx context.Context, cluster nodes.Cluster) (err error) {
	for range closeTries {
		if err = closeOnce(ctx, cluster); err == nil {
			return nil
		}
		time.Sleep(closePause)
	}
	return fmt.Errorf("the cluster was not removed, so run `faultline clean`: %w", err)
}

func closeOnce(ctx context.Context, cluster nodes.Cluster) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), closeWithin, fmt.Errorf("not closed within %v", closeWithin))
	defer cancel()
	return cluster.Close(ctx)
}

// session is the part of a run in which the cluster is up.
type session struct {
	*plan
	Options
	dir      string
	cluster  nodes.Cluster
	broken   *broken
	clients  map[string]nodes.Client
	observer *observer
	runner   *workloads.Runner
	log      *history.Log
	names    []string
	asked    []string // those that clients of the workload ask: spares are not there for most of a run

	mu     sync.Mutex
	phase  history.Phase
	until  time.Time // end of the quiet phase
	faults []string
}

func newSession(p *plan, o Options, cluster nodes.Cluster, broken *broken, log *history.Log, dir string) *session {
	s := &session{plan: p, Options: o, dir: dir, cluster: cluster, broken: broken, clients: map[string]nodes.Client{}, log: log}
	for _, n := range p.topology.Nodes() {
		s.names = append(s.names, n.Name)
		s.clients[n.Name] = nodes.GuardedClient(p.system.Client(cluster.Endpoint(n.Name)), n.Name, broken.by)
	}
	for _, n := range p.topology.Started() {
		s.asked = append(s.asked, n.Name)
	}
	s.observer = &observer{nodes: p.topology.Nodes(), clients: s.clients, log: log, broken: broken}
	return s
}

func (s *session) close() {
	for _, c := range s.clients {
		c.Close()
	}
}

// run is the story of a session: faults, quiet, final reads. Only the first of them
// ends with ctx; what follows ends with Options.Abort.
func (s *session) run(ctx context.Context) error {
	var err error
	s.runner, err = workloads.NewRunner(workloads.Config{Generator: s.generator, Clients: s.clients, Nodes: s.asked,
		Log: s.log, Rate: s.scenario.Rate, Concurrency: s.scenario.Concurrency, Timeout: s.scenario.Timeout})
	if err != nil {
		return err
	}
	playing, breakOff := context.WithCancel(ctx)
	defer breakOff()
	defer context.AfterFunc(s.broken, breakOff)()

	watching, unwatch := context.WithCancel(s.Abort)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.observer.run(watching) })
	watchers.Go(func() { s.report(watching) })
	stopWatching := func() { unwatch(); watchers.Wait() }
	defer stopWatching()

	if err := s.enter(history.PhaseFaults, s.scenario.TimeLimit+s.scenario.Quiet); err != nil {
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
	healed := time.Now()
	quiet := s.scenario.Quiet
	switch {
	case ctx.Err() == nil && playing.Err() != nil:
		s.Progress.Say("broken off: the clients cannot go on")
	case ctx.Err() != nil:
		s.Progress.Say("interrupted: healed, recovering before the final reads")
		quiet = min(quiet, interruptQuiet)
		playErr = errors.Join(playErr, s.enter(history.PhaseInterrupt, quiet))
	}
	playErr = errors.Join(playErr, s.enter(history.PhaseQuiet, quiet))
	if playErr == nil {
		s.recover(ctx, quiet)
		s.settle(ctx, healed)
	}
	rest()
	if err := errors.Join(playErr, <-ran, s.broken.err()); err != nil {
		return err
	}
	if err := s.finalReads(); err != nil {
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
	sleep(ctx, quiet)
	sleep(s.Abort, min(time.Until(end), interruptQuiet))
}

// settle waits until every node that should run answers and every server follows a leader,
// as long as they have for that since the last heal; checker nodes judges whether they did.
func (s *session) settle(ctx context.Context, healed time.Time) {
	ctx, cancel := context.WithDeadline(ctx, healed.Add(s.scenario.RecoverWithin))
	defer cancel()
	stop := context.AfterFunc(s.Abort, cancel)
	defer stop()
	for ctx.Err() == nil && s.observer.missing(ctx) != "" {
		sleep(ctx, settlePoll)
	}
}

// playFaults plays the schedule and waits for the time limit.
func (s *session) playFaults(ctx context.Context) error {
	end := time.Now().Add(s.scenario.TimeLimit)
	sleep(ctx, warmUp)
	resolved, err := nemesis.Play(ctx, s.schedule, s.world())
	err = errors.Join(err, writeFile(s.dir, fileResolved, resolved.String()))
	if err == nil {
		sleep(ctx, time.Until(end))
	}
	return err
}

func (s *session) world() nemesis.World {
	return nemesis.World{
		Topology: s.topology, Cluster: s.cluster, Log: s.log,
		Client: func(node string) nodes.Client { return s.clients[node] },
		Leader: s.observer.leader, Burst: s.runner.Burst, Notify: s.notify,
	}
}

func (s *session) finalReads() error {
	if err := s.enter(history.PhaseFinal, 0); err != nil {
		return err
	}
	final, cancel := context.WithTimeout(s.Abort, finalWithin)
	defer cancel()
	return s.runner.Final(final)
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
		status := Status{Scenario: s.scenario.Name, Phase: s.phase, Left: max(0, time.Until(s.until)), Faults: s.faults,
			OpsPerSec: float64(done - before), OK: stats.OK, Fail: stats.Fail, Info: stats.Info}
		s.mu.Unlock()
		status.Leader = s.observer.seenLeader()
		before = done
		s.Progress.Status(status)
	}
}

// keepLogs copies what the nodes said into the run directory.
func (s *session) keepLogs(within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), within, fmt.Errorf("not read within %v", within))
	defer cancel()
	if err := os.MkdirAll(filepath.Join(s.dir, dirNodes), 0o755); err != nil {
		return fmt.Errorf("the logs of the nodes were not kept: %w", err)
	}
	errs := make([]error, len(s.names))
	var work sync.WaitGroup
	for i, name := range s.names {
		work.Go(func() { errs[i] = s.keepLog(ctx, name) })
	}
	work.Wait()
	return errors.Join(errs...)
}

func (s *session) keepLog(ctx context.Context, name string) error {
	dir := filepath.Join(s.dir, dirNodes, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		return err
	}
	if err := errors.Join(s.cluster.Logs(ctx, name, f), f.Close()); err != nil {
		return fmt.Errorf("the log of %s was not kept: %w", name, err)
	}
	return nil
}

// runID names a run on its machine.
func runID(scenario string, started time.Time) string {
	at := strings.ReplaceAll(started.Format("150405.000"), ".", "-")
	return fmt.Sprintf("%s-%s-%d", scenario, at, os.Getpid())
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

package faultline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
	interruptQuiet = 4 * time.Second // a user who pressed Ctrl-C does not wait for the whole quiet
	closeWithin    = time.Minute
)

// Options are what a run needs beside its scenario.
type Options struct {
	Store    string          // where run directories go; "store" if empty
	System   nodes.System    // what to test instead of Scenario.System
	Progress Progress        // told what happens; may be nil
	Log      *slog.Logger    // the harness's own log; may be nil
	Abort    context.Context // when it ends, even recovery and final reads are given up; may be nil
}

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
// nothing was run, any other that the harness failed; Outcome.Dir then still tells where
// the history is, if there is one.
func Run(ctx context.Context, s Scenario, o Options) (Outcome, error) {
	if o.Store == "" {
		o.Store = "store"
	}
	if o.Progress == nil {
		o.Progress = silent{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Abort == nil {
		o.Abort = context.WithoutCancel(ctx)
	}
	p, err := makePlan(ctx, s, o)
	if err != nil {
		return Outcome{}, err
	}
	dir, record, err := newRunDir(o.Store, p)
	if err != nil {
		return Outcome{}, err
	}
	if err := play(ctx, p, o, dir, record); err != nil {
		return Outcome{Dir: dir}, err
	}
	o.Progress.Say("judging")
	return Analyze(o.Abort, dir)
}

// play starts the cluster, runs clients and nemesis on it, and removes it.
func play(ctx context.Context, p *plan, o Options, dir string, record Record) (err error) {
	for _, note := range p.notes {
		o.Progress.Say(note)
	}
	o.Progress.Say(fmt.Sprintf("starting %d nodes on %s", len(p.topology.Nodes()), p.runtime.Name()))
	began := time.Now()
	cluster, err := p.runtime.Start(ctx, nodes.Spec{Run: runID(p.scenario.Name, record.Started), Topology: p.topology,
		System: p.system, Log: o.Log, Progress: o.Progress.Say})
	if err != nil {
		return fmt.Errorf("start on %s: %w", p.runtime.Name(), err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		err = errors.Join(err, cluster.Close(closing))
	}()
	log, err := history.Create(filepath.Join(dir, fileHistory))
	if err != nil {
		return err
	}
	session := newSession(p, o, cluster, log, dir)
	defer session.close()
	err = session.observer.ready(ctx, readyWithin)
	if err == nil {
		o.Progress.Say(fmt.Sprintf("cluster ready after %.1f s", time.Since(began).Seconds()))
		err = session.run(ctx)
	}
	return errors.Join(err, log.Close(), session.keepLogs())
}

// session is the part of a run in which the cluster is up.
type session struct {
	*plan
	Options
	dir      string
	cluster  nodes.Cluster
	clients  map[string]nodes.Client
	observer *observer
	runner   *workloads.Runner
	log      *history.Log
	names    []string

	mu     sync.Mutex
	phase  history.Phase
	until  time.Time // end of the quiet phase
	faults []string
}

func newSession(p *plan, o Options, cluster nodes.Cluster, log *history.Log, dir string) *session {
	s := &session{plan: p, Options: o, dir: dir, cluster: cluster, clients: map[string]nodes.Client{}, log: log}
	for _, n := range p.topology.Nodes() {
		s.names = append(s.names, n.Name)
		s.clients[n.Name] = p.system.Client(cluster.Endpoint(n.Name))
	}
	s.observer = &observer{nodes: p.topology.Nodes(), clients: s.clients, log: log}
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
	s.runner, err = workloads.NewRunner(workloads.Config{Generator: s.generator, Clients: s.clients, Nodes: s.names,
		Log: s.log, Rate: s.scenario.Rate, Concurrency: s.scenario.Concurrency, Timeout: s.scenario.Timeout})
	if err != nil {
		return err
	}
	ctx, broken := context.WithCancelCause(ctx)
	defer broken(nil)

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
			broken(err) // the history cannot be written: there is no point in going on
		}
		ran <- err
	}()

	playErr := s.playFaults(ctx)
	quiet := s.scenario.Quiet
	if ctx.Err() != nil {
		s.Progress.Say("interrupted: healed, recovering before the final reads")
		quiet = min(quiet, interruptQuiet)
		playErr = errors.Join(playErr, s.enter(history.PhaseInterrupt, quiet))
	}
	playErr = errors.Join(playErr, s.enter(history.PhaseQuiet, quiet))
	if playErr == nil {
		sleep(s.Abort, quiet)
	}
	rest()
	if err := errors.Join(playErr, <-ran); err != nil {
		return err
	}
	if err := s.finalReads(); err != nil {
		return err
	}
	stopWatching() // the end is the last line of a history
	return s.enter(history.PhaseEnd, 0)
}

// playFaults plays the schedule and waits for the time limit.
func (s *session) playFaults(ctx context.Context) error {
	end := time.Now().Add(s.scenario.TimeLimit)
	sleep(ctx, warmUp)
	resolved, err := nemesis.Play(ctx, s.schedule, nemesis.World{
		Topology: s.topology, Cluster: s.cluster, Log: s.log,
		Client: func(node string) nodes.Client { return s.clients[node] },
		Leader: s.observer.leader, Burst: s.runner.Burst, Notify: s.notify,
	})
	err = errors.Join(err, writeFile(s.dir, fileResolved, resolved.String()))
	if err == nil {
		sleep(ctx, time.Until(end))
	}
	return err
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
	s.faults = active
	s.mu.Unlock()
	if len(active) == 0 {
		s.Progress.Say("all healed")
		return
	}
	for _, f := range active {
		s.Progress.Say("fault: " + f)
	}
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
func (s *session) keepLogs() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var errs []error
	for _, name := range s.names {
		errs = append(errs, s.keepLog(ctx, name))
	}
	return errors.Join(errs...)
}

func (s *session) keepLog(ctx context.Context, name string) error {
	dir := filepath.Join(s.dir, dirNodes, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		return err
	}
	return errors.Join(s.cluster.Logs(ctx, name, f), f.Close())
}

// runID names a run on its machine.
func runID(scenario string, started time.Time) string {
	return fmt.Sprintf("%s-%s-%d", scenario, started.Format("150405"), os.Getpid())
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

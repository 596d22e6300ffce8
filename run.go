package faultline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"faultline/checker/rundir"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

const (
	startWithin    = 10 * time.Minute // with what has to be built first
	closeWithin    = 30 * time.Second
	logsWithin     = time.Minute     // to read the logs of all nodes
	mostOfAStep    = 5 * time.Minute // beyond its time: two changes and two actions, by their own limits
	mostOfTheRest  = 5 * time.Minute // the last heal, the baselines, the final reads
	lostLogsWithin = 5 * time.Second // to read the logs of a cluster that is lost
)

// Options are what a run needs beside its scenario.
type Options struct {
	Store    string              // where run directories go; "store" if empty
	System   nodes.System        // what to test instead of Scenario.System
	Runtime  nodes.Runtime       // where to run it instead of on Scenario.Runtime; may be a program's own
	Topology topologies.Topology // the cluster's shape instead of Scenario.Topology, if it has datacenters
	Progress Progress            // told what happens; may be nil
	Log      *slog.Logger        // the harness's own log; may be nil
	Abort    context.Context     // when it ends, even recovery and final reads are given up; may be nil
	// UntilInvalid ends the run with its first violation, as far as checkers can see one while it lasts
	// (checker.Checker.Prefix). What would have followed is not tried.
	UntilInvalid bool
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
	return Default().Run(ctx, s, o)
}

// Run is the package's Run, by this registry.
func (r Registry) Run(ctx context.Context, s Scenario, o Options) (Outcome, error) {
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
	p, err := r.makePlan(ctx, s.Drawn(), o)
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
		return Outcome{}, errors.Join(cutOff(err), rundir.Discard(dir))
	case !kept:
		return Outcome{}, errors.Join(fullDisk(dir, err), rundir.Discard(dir))
	case err != nil:
		return Outcome{Dir: dir}, brokenOff(dir, err)
	case o.Abort.Err() != nil:
		return Outcome{Dir: dir}, fmt.Errorf("%w before it was judged; `faultline analyze %s` judges what there is", ErrInterrupted, dir)
	}
	o.Progress.Say("judging")
	return r.Analyze(o.Abort, dir)
}

// play starts the cluster, runs clients and nemesis on it, and removes it. It tells
// whether the run directory then holds something to keep.
func play(ctx context.Context, p *plan, o Options, dir string, record rundir.Record) (kept bool, err error) {
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
	defer func() { err = errors.Join(err, nodes.Remove(ctx, cluster), broken.err()) }()
	log, err := history.Create(filepath.Join(dir, rundir.HistoryFile))
	if err != nil {
		return false, err
	}
	abort, giveUp := context.WithCancelCause(o.Abort)
	defer giveUp(nil)
	overdue := time.AfterFunc(p.longest(), func() { giveUp(errOverdue) })
	defer overdue.Stop()
	if o.UntilInvalid {
		found, done := p.untilInvalid(ctx, dir)
		defer done()
		ctx = found
	}
	session := p.session(o, dir, broken, abort)
	session.Ready = func() error {
		o.Progress.Say(fmt.Sprintf("cluster ready after %.1f s", time.Since(began).Seconds()))
		return rundir.Announce(dir)
	}
	logs := nodeLogs{cluster, p.topology, dir}
	err = Play(ctx, session, cluster, log)
	switch {
	case errors.Is(err, errNotReady) && ctx.Err() != nil:
		return false, errors.Join(err, log.End())
	case o.Abort.Err() != nil:
		return true, log.End()
	case errors.As(err, new(*LostError)) && !errors.Is(err, errNotReady):
		if err := logs.keep(lostLogsWithin); err != nil {
			o.Progress.Say("not all logs of its nodes could be kept: " + err.Error())
		}
		return true, log.End()
	case errors.Is(err, errOverdue):
		return true, errors.Join(fmt.Errorf("it did not end within %v: something that was called ignores that its time is up", p.longest()),
			log.End(), logs.keep(lostLogsWithin))
	}
	return true, errors.Join(err, log.End(), logs.keep(logsWithin))
}

var errOverdue = errors.New("the run takes longer than any can")

// session is the part of the plan that is played once the cluster is up.
func (p *plan) session(o Options, dir string, broken *broken, abort context.Context) Plan {
	s := p.scenario
	return Plan{Topology: p.topology, System: p.system, Schedule: p.schedule, Generator: p.generator,
		Rate: s.Rate, Concurrency: s.Concurrency, Timeout: s.Timeout, LeastTimeout: s.LeastTimeout, Seed: s.Seed,
		TimeLimit: s.TimeLimit, Quiet: s.Quiet, RecoverWithin: s.RecoverWithin,
		Name: s.Name, Progress: o.Progress, Abort: abort, broken: broken,
		Resolved: func(resolved nemesis.Schedule) error {
			return rundir.Write(dir, rundir.ResolvedFile, resolved.String())
		}}
}

// start starts the cluster. One that comes up after it was given up is removed.
func (p *plan) start(ctx context.Context, broken *broken, spec nodes.Spec) (nodes.Cluster, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("not up within %v", startWithin))
	defer cancel()
	cluster, err := nodes.Bounded(ctx, closeWithin, "Start of the runtime",
		func(ctx context.Context) (nodes.Cluster, error) { return p.runtime.Start(ctx, spec) },
		func(late nodes.Cluster) { _ = nodes.Remove(ctx, nodes.Guarded(late, broken.by)) }) // nobody waits for how that ends
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
	return s.TimeLimit + s.Quiet + 2*s.RecoverWithin + s.Timeout + time.Duration(len(p.schedule.Steps))*mostOfAStep + mostOfTheRest
}

// nodeLogs is what the nodes of a cluster said, and the run directory where it is kept.
type nodeLogs struct {
	cluster  nodes.Cluster
	topology topologies.Topology
	dir      string
}

// keep copies what the nodes said into the run directory.
func (l nodeLogs) keep(within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), within, fmt.Errorf("not read within %v", within))
	defer cancel()
	if err := os.MkdirAll(filepath.Join(l.dir, rundir.NodesDir), 0o755); err != nil {
		return fmt.Errorf("the logs of the nodes were not kept: %w", err)
	}
	all := l.topology.Nodes()
	errs := make([]error, len(all))
	var work sync.WaitGroup
	for i, n := range all {
		work.Go(func() { errs[i] = l.keepOne(ctx, n.Name) })
	}
	work.Wait()
	return errors.Join(errs...)
}

func (l nodeLogs) keepOne(ctx context.Context, name string) error {
	dir := filepath.Join(l.dir, rundir.NodesDir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		return err
	}
	if err := errors.Join(l.cluster.Logs(ctx, name, f), f.Close()); err != nil {
		return fmt.Errorf("the log of %s was not kept: %w", name, err)
	}
	return nil
}

// runID names a run on its machine.
func runID(scenario string, started time.Time) string {
	at := strings.ReplaceAll(started.Format("150405.000"), ".", "-")
	return fmt.Sprintf("%s-%s-%d", scenario, at, os.Getpid())
}

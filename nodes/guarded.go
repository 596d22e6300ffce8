package nodes

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// Guarded is a cluster whose calls end in time and do not panic, whatever its runtime
// does: see Bounded. Of a panic broke is told as well, since whoever calls may take the error
// for one that passes. Of Endpoint the caller of Dial takes care.
func Guarded(c Cluster, broke func(*Panicked)) Cluster { return guarded{c, broke} }

const (
	callGrace = 5 * time.Second
	setGrace  = 30 * time.Second // what it has begun to start it may see to its end
)

type guarded struct {
	Cluster
	broke func(*Panicked)
}

func (g guarded) Watch(ctx context.Context, report func(history.ProcessEvent)) error {
	return g.bounded(ctx, "Watch of the runtime", func(ctx context.Context) error { return g.Cluster.Watch(ctx, report) })
}

func (g guarded) Set(ctx context.Context, want faults.Conditions) error {
	want = want.Clone() // what is left behind keeps its own
	return g.boundedBy(ctx, setGrace, "Set of the runtime", func(ctx context.Context) error { return g.Cluster.Set(ctx, want) })
}

func (g guarded) Measure(ctx context.Context) (faults.Measurement, error) {
	measured, err := Bounded(ctx, callGrace, "Measure of the runtime", g.Cluster.Measure, nil)
	return measured, g.tell(err)
}

func (g guarded) Exited(ctx context.Context, node string) error {
	return g.bounded(ctx, "Exited of the runtime", func(ctx context.Context) error { return g.Cluster.Exited(ctx, node) })
}

func (g guarded) Logs(ctx context.Context, node string, w io.Writer) error {
	to := &leavable{w: w}
	defer to.leave()
	return g.bounded(ctx, "Logs of the runtime", func(ctx context.Context) error { return g.Cluster.Logs(ctx, node, to) })
}

func (g guarded) Close(ctx context.Context) error {
	return g.bounded(ctx, "Close of the runtime", g.Cluster.Close)
}

func (g guarded) bounded(ctx context.Context, what string, f func(context.Context) error) error {
	return g.boundedBy(ctx, callGrace, what, f)
}

func (g guarded) boundedBy(ctx context.Context, grace time.Duration, what string, f func(context.Context) error) error {
	_, err := Bounded(ctx, grace, what, func(ctx context.Context) (none, error) { return none{}, f(ctx) }, nil)
	return g.tell(err)
}

func (g guarded) tell(err error) error {
	if p := new(Panicked); errors.As(err, &p) {
		g.broke(p)
	}
	return err
}

// leavable is a writer that is the caller's again after leave.
type leavable struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *leavable) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (l *leavable) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w = io.Discard
}

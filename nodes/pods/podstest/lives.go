package podstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// Watcher collects what a cluster tells of its nodes' processes.
type Watcher struct {
	cancel func()
	over   chan error

	mu     sync.Mutex
	events []history.ProcessEvent
}

// Watch begins to watch a cluster, until the test is over.
func Watch(t testing.TB, c nodes.Cluster) *Watcher { return Collect(t, c.Watch) }

// Collect is Watch for what has the Watch of a cluster.
func Collect(t testing.TB, watch func(context.Context, func(history.ProcessEvent)) error) *Watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{cancel: cancel, over: make(chan error, 1)}
	t.Cleanup(cancel)
	go func() { w.over <- watch(ctx, w.report) }()
	return w
}

func (w *Watcher) report(e history.ProcessEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// Of is what was told of a node so far: "started", "ended: exit code 2", "ended: SIGKILL".
func (w *Watcher) Of(node string) (told []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		switch {
		case e.Node != node:
		case e.Kind == history.ProcessEnded:
			told = append(told, fmt.Sprintf("ended: %s", e.How()))
		default:
			told = append(told, string(e.Kind))
		}
	}
	return told
}

// Require waits until as much was told of a node, which must be this.
func (w *Watcher) Require(t testing.TB, node string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(w.Of(node)) >= len(want) }, 20*time.Second, 5*time.Millisecond, "%s: told is %q", node, w.Of(node))
	require.Equal(t, want, w.Of(node), node)
}

// Stop ends the watch, which must be without an error, and is all that was told.
func (w *Watcher) Stop(t testing.TB) []history.ProcessEvent {
	t.Helper()
	w.cancel()
	require.NoError(t, <-w.over)
	return w.events
}

// Lost waits until the watch says that the cluster is lost, which must be within so long.
func (w *Watcher) Lost(t testing.TB, within time.Duration) error {
	t.Helper()
	select {
	case err := <-w.over:
		require.Error(t, err)
		return err
	case <-time.After(within):
		require.Fail(t, "nobody says that the cluster is lost")
		return nil
	}
}

// Tell has a node do what its program knows by that path.
func Tell(t testing.TB, c nodes.Cluster, node, path string) {
	t.Helper()
	answer, err := Web(c, node).Get("http://" + node + path)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
}

func testLives(t *testing.T, s Subject) {
	began := time.Now()
	c := Up(t, s, "lives")
	early := Watch(t, c)
	end := func(node, path string) {
		t.Helper()
		Ask(t, c, node)
		Tell(t, c, node, path)
		require.NoError(t, c.Exited(t.Context(), node))
	}
	end(S1, "/panic")
	end(S2, "/kill9")
	end(S3, "/leave")
	RequireConditions(t, c, faults.Conditions{})
	Ask(t, c, S2)
	RequireConditions(t, c, processOf(S2, faults.Killed))
	RequireConditions(t, c, faults.Conditions{})
	for _, state := range []faults.ProcessState{faults.Paused, faults.Running} {
		RequireConditions(t, c, processOf(S3, state))
	}
	want := map[string][]string{
		S1: {"started", "ended: exit code 2", "started"},
		S2: {"started", "ended: SIGKILL", "started", "ended: SIGKILL", "started"},
		S3: {"started", "ended: exit code 0", "started"},
	}
	for node, told := range want {
		early.Require(t, node, told...)
	}
	all := early.Stop(t)
	requireTimes(t, all, began)

	late := Watch(t, c)
	for node, told := range want {
		late.Require(t, node, told...)
	}
	require.Equal(t, all, late.Stop(t), "who comes late is told the same")

	closed := Watch(t, c)
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, all, closed.Stop(t), "what Close ends is neither told nor a loss")
}

// requireTimes demands that the lives of each node follow each other in time, and are known by pid.
func requireTimes(t testing.TB, all []history.ProcessEvent, began time.Time) {
	t.Helper()
	last := map[string]time.Time{S1: began, S2: began, S3: began}
	pids := map[string]int{}
	for _, e := range all {
		require.False(t, e.At.Before(last[e.Node]), "%+v comes before what was before it", e)
		require.False(t, e.At.After(time.Now()), "%+v is to come", e)
		last[e.Node] = e.At
		if e.Kind == history.ProcessEnded {
			require.Equal(t, pids[e.Node], e.PID, "%+v", e)
			continue
		}
		require.NotZero(t, e.PID, "%+v", e)
		pids[e.Node] = e.PID
	}
}

func testShortLives(t *testing.T, s Subject) {
	c := Up(t, s, "short")
	w := Watch(t, c)
	Ask(t, c, S1)
	Tell(t, c, S1, "/doom")
	RequireConditions(t, c, processOf(S1, faults.Killed))
	if err := c.Set(t.Context(), faults.Conditions{}); err != nil { // it is quick: else nobody saw it run
		require.ErrorContains(t, err, "dc1-s1 ended as soon as it was started, with exit code 2: ")
	}
	w.Require(t, S1, "started", "ended: SIGKILL", "started", "ended: exit code 2")
	RequireConditions(t, c, faults.Conditions{})
	w.Require(t, S1, "started", "ended: SIGKILL", "started", "ended: exit code 2", "started")
}

func testStorm(t *testing.T, s Subject) {
	c := Up(t, s, "storm")
	w := Watch(t, c)
	told := []string{"started"}
	for range 8 {
		require.NoError(t, c.Set(t.Context(), processOf(S2, faults.Killed)))
		require.NoError(t, c.Set(t.Context(), faults.Conditions{}))
		told = append(told, "ended: SIGKILL", "started")
	}
	w.Require(t, S2, told...)
	for _, node := range []string{S1, S3} {
		w.Require(t, node, "started")
	}
	requireTimes(t, w.Stop(t), time.Time{})
}

package docker

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

const s1, s2, s3 = "dc1-s1", "dc1-s2", "dc1-s3"

func TestLinksAreDroppedAndRejectedEachDirectionApart(t *testing.T) {
	c := up(t, "links", "dc1-3")
	cut := func(from, to string, state nodes.LinkState) nodes.Conditions {
		var want nodes.Conditions
		want.Cut([]string{from}, []string{to}, state)
		return want
	}
	drop, reject := nodes.LinkState{Drop: true}, nodes.LinkState{Reject: true}
	both := cut(s1, s2, drop)
	both.Cut([]string{s2}, []string{s1}, reject)
	mutual := cut(s1, s2, reject)
	mutual.Cut([]string{s2}, []string{s1}, reject)
	for _, want := range []nodes.Conditions{
		{},
		cut(s1, s2, drop), cut(s2, s1, drop),
		cut(s1, s2, reject), cut(s2, s1, reject),
		cut(s1, s2, nodes.LinkState{Drop: true, Reject: true}),
		both, mutual, mutual,
		{},
	} {
		requireConditions(t, c, want)
	}
}

func TestKilledNodesKeepAddressDataRulesAndEndpoint(t *testing.T) {
	c := up(t, "kill", "dc1-3")
	endpoint, before := c.Endpoint(s2), ask(t, c, s2)
	require.Contains(t, before.Args, "/data self="+c.byName[s2].addr.String())
	require.Contains(t, before.Args, s3+"="+c.byName[s3].addr.String())

	want := nodes.Conditions{}
	want.Cut([]string{s1}, []string{s2}, nodes.LinkState{Drop: true})
	want.SetProcess([]string{s2}, nodes.Killed)
	for cycle := range 3 {
		requireConditions(t, c, want)
		restarted := nodes.Conditions{Links: want.Links}
		requireConditions(t, c, restarted)
		require.Equal(t, endpoint, c.Endpoint(s2))
		require.Equal(t, about{Args: before.Args, Starts: cycle + 2}, ask(t, c, s2))
	}
	require.Equal(t, 1, ask(t, c, s1).Starts, "the others were left alone")

	var log bytes.Buffer
	require.NoError(t, c.Logs(t.Context(), s2, &log))
	for _, line := range []string{"out: start 1\n", "err: start 1\n", "out: start 4\n", "err: start 4\n"} {
		require.Contains(t, log.String(), line)
	}
}

func TestEndpointsOfKilledNodes(t *testing.T) {
	for published, want := range map[string]string{"0": ":8500", "1": "127.0.0.1:"} {
		t.Run("published "+published, func(t *testing.T) {
			t.Setenv(publishedPorts, published)
			c := up(t, "endpoint-"+published, "dc1-3")
			if published == "0" && strings.HasPrefix(c.Endpoint(s1), "127.0.0.1:") {
				t.Skip("the pods of this engine cannot be reached by their own addresses")
			}
			require.Contains(t, c.Endpoint(s1), want)
			ask(t, c, s1)
			killed := nodes.Conditions{}
			killed.SetProcess([]string{s1}, nodes.Killed)
			require.NoError(t, c.Set(t.Context(), killed))
			_, err := http.Get("http://" + c.Endpoint(s1) + "/")
			require.Error(t, err)
			if published == "0" {
				require.ErrorIs(t, err, syscall.ECONNREFUSED, "definite: nobody received the request")
			}
		})
	}
}

func TestPausedNodesAnswerLater(t *testing.T) {
	c := up(t, "pause", "dc1-3")
	ask(t, c, s1)
	paused := nodes.Conditions{}
	paused.SetProcess([]string{s1}, nodes.Paused)
	requireConditions(t, c, paused)

	answered := make(chan error, 1)
	go func() {
		answer, err := http.Get("http://" + c.Endpoint(s1) + "/")
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		require.Fail(t, "a paused node answered", "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
	requireConditions(t, c, nodes.Conditions{})
	require.NoError(t, <-answered)
	require.Equal(t, 1, ask(t, c, s1).Starts)

	// From paused to killed, from killed to paused, and back.
	killed := nodes.Conditions{}
	killed.SetProcess([]string{s1}, nodes.Killed)
	for _, want := range []nodes.Conditions{paused, killed, paused, {}} {
		requireConditions(t, c, want)
	}
	require.Equal(t, 2, ask(t, c, s1).Starts)
}

func TestANodeThatEndedByItselfIsStartedAgainBySet(t *testing.T) {
	c := up(t, "exit", "dc1-3")
	ask(t, c, s3)
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Exited(early, s3), context.DeadlineExceeded)

	answer, err := http.Get("http://" + c.Endpoint(s3) + "/leave")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, c.Exited(t.Context(), s3))
	died := c.died(t.Context(), c.byName[s3])
	require.ErrorContains(t, died, "dc1-s3 ended as soon as it was started, with exit code 0: ")
	require.ErrorContains(t, died, "err: start 1")
	require.NoError(t, c.died(t.Context(), c.byName[s2]))
	killed := nodes.Conditions{}
	killed.SetProcess([]string{s3}, nodes.Killed)
	requireConditions(t, c, killed)
	requireConditions(t, c, nodes.Conditions{})
	require.Equal(t, 2, ask(t, c, s3).Starts)
}

func TestABrokenControlStreamIsOpenedAgain(t *testing.T) {
	c := up(t, "stream", "dc1-3")
	want := nodes.Conditions{}
	want.Cut([]string{s1}, []string{s2, s3}, nodes.LinkState{Reject: true})
	want.Cut([]string{s2}, []string{s3}, nodes.LinkState{Delay: 30 * time.Millisecond})
	requireConditions(t, c, want)
	require.NoError(t, c.group.HangUp())
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.Empty(t, m.Mismatches(want, []string{s1, s2, s3}), "nothing is forgotten with the stream")
	requireConditions(t, c, nodes.Conditions{})
}

func TestManyMaySetAndMeasureAtOnce(t *testing.T) {
	c := up(t, "many", "dc1-3")
	var work sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		work.Go(func() {
			var want nodes.Conditions
			want.Cut([]string{s1}, []string{s2}, nodes.LinkState{Drop: i%2 == 0, Reject: i%2 == 1})
			want.SetProcess([]string{s3}, []nodes.Process{nodes.Running, nodes.Paused, nodes.Killed}[i%3])
			_, err := c.Measure(t.Context())
			errs[i] = errors.Join(err, c.Set(t.Context(), want))
		})
	}
	work.Wait()
	require.NoError(t, errors.Join(errs...))
	requireConditions(t, c, nodes.Conditions{})
}

func TestSetRefusesWhatIsNotThere(t *testing.T) {
	c := up(t, "refuse", "dc1-3")
	require.ErrorContains(t, c.Set(t.Context(), nodes.Conditions{Processes: map[string]nodes.Process{"x": nodes.Killed}}), `no node "x"`)
	require.ErrorContains(t, c.Set(t.Context(), nodes.Conditions{Processes: map[string]nodes.Process{s1: "ill"}}), `no process state "ill"`)
	require.ErrorContains(t, c.Set(t.Context(), nodes.Conditions{
		Links: map[nodes.Link]nodes.LinkState{{From: s1, To: "x"}: {Drop: true}}}), `no node "x"`)
	require.ErrorContains(t, c.Set(t.Context(), nodes.Conditions{
		Links: map[nodes.Link]nodes.LinkState{{From: "x", To: s1}: {Drop: true}}}), `no node "x"`)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Set(over, nodes.Conditions{}), context.Canceled)
	require.ErrorContains(t, c.Exited(t.Context(), "x"), `no node "x"`)
	require.Empty(t, c.Endpoint("x"))
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	e := needEngine(t)
	t.Run("the node is no program", func(t *testing.T) {
		s := spec(t, "text", "dc1-3")
		s.System = textSystem{}
		_, err := New().Start(t.Context(), s)
		require.ErrorContains(t, err, "dc1-s1 ended as soon as it was started, with exit code 1: exec /bin/node: exec format error")
		require.Empty(t, leftovers(t, e, s.Run))
	})
	t.Run("it is called off", func(t *testing.T) {
		for _, stage := range []string{"starting 3 pods", "starting 3 nodes"} {
			ctx, cancel := context.WithCancel(t.Context())
			s := spec(t, "off", "dc1-3")
			s.Progress = func(what string) {
				if what == stage {
					time.AfterFunc(30*time.Millisecond, cancel)
				}
			}
			_, err := New().Start(ctx, s)
			require.ErrorIs(t, err, context.Canceled, stage)
			require.Empty(t, leftovers(t, e, s.Run))
		}
	})
	t.Run("the name is taken", func(t *testing.T) {
		c := up(t, "taken", "dc1-3")
		_, err := New().Start(t.Context(), spec(t, "taken", "dc1-3"))
		require.ErrorContains(t, err, "faultline clean")
		require.Equal(t, 1, ask(t, c, s1).Starts, "the first is unharmed")
	})
}

func TestCleanRemovesWhatDeadOwnersLeft(t *testing.T) {
	e := needEngine(t)
	alive := up(t, "alive", "dc1-3")
	dead := spec(t, "dead", "dc1-3")
	c, err := newCluster(e, dead)
	require.NoError(t, err)
	c.owner = "1.1.another-boot"
	require.NoError(t, c.start(t.Context(), dead.System))

	removed, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, leftovers(t, e, dead.Run))
	lines := strings.Join(removed, "\n")
	for _, line := range []string{
		"container faultline-" + dead.Run + "-dc1-s1 (run " + dead.Run + ")",
		"container faultline-" + dead.Run + "-dc1-s1-pod (run " + dead.Run + ")",
		"volume faultline-" + dead.Run + "-dc1-s1 (run " + dead.Run + ")",
		"network faultline-" + dead.Run + " (run " + dead.Run + ")",
	} {
		require.Contains(t, lines, line)
	}
	require.NotContains(t, lines, alive.run)
	requireConditions(t, alive, nodes.Conditions{})
	require.NoError(t, c.Close(t.Context()))
}

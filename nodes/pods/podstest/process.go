package podstest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

func testPlaces(t *testing.T, _ Subject, c nodes.Cluster) {
	about := map[string]About{S1: Ask(t, c, S1), S2: Ask(t, c, S2), S3: Ask(t, c, S3)}
	for node, a := range about {
		require.Len(t, a.Addrs, 2, "the loopback's and the pod's")
		for other, b := range about {
			require.Contains(t, strings.Fields(a.Args), other+"="+b.Addrs[1], node)
		}
		require.Contains(t, strings.Fields(a.Args), "self="+a.Addrs[1])
		require.Equal(t, node, a.Place["hostname"])
		for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
			require.Equal(t, "0000000000000000", a.Place[set], set)
		}
		require.Equal(t, "1", a.Place["NoNewPrivs"])
	}
}

func testKilledNodes(t *testing.T, s Subject) {
	c := Up(t, s, "kill")
	before := Ask(t, c, S2)
	require.Contains(t, before.Args, "/data self=")
	require.Equal(t, 1, before.Starts)

	want := linkOf(S1, S2, faults.Link{Drop: true})
	want.SetProcess([]string{S2}, faults.Killed)
	for cycle := range 3 {
		RequireConditions(t, c, want)
		RequireConditions(t, c, faults.Conditions{Links: want.Links})
		again := before
		again.Starts, again.Kept = cycle+2, cycle+2
		require.Equal(t, again.still(), Ask(t, c, S2).still())
	}
	require.Equal(t, 1, Ask(t, c, S1).Starts, "the others were left alone")

	var log bytes.Buffer
	require.NoError(t, c.Logs(t.Context(), S2, &log))
	for _, line := range []string{"out: start 1\n", "err: start 1\n", "out: start 4\n", "err: start 4\n"} {
		require.Contains(t, log.String(), line)
	}
}

func testAbsentNodes(t *testing.T, s Subject) {
	c := Up(t, s, "absent")
	before := Ask(t, c, S2)
	RequireConditions(t, c, faults.Conditions{})
	for range 2 {
		RequireConditions(t, c, processOf(S2, faults.Wiped))
		RequireConditions(t, c, faults.Conditions{})
		require.Equal(t, before.still(), Ask(t, c, S2).still(), "its data directory counts its starts, and began anew")
	}
	RequireConditions(t, c, processOf(S2, faults.Killed))
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, m.Mismatches(processOf(S2, faults.Wiped), []string{S2}), "its data is there")
}

func testBaseline(t *testing.T, s Subject) {
	Need(t, s)
	want := spec(t, "spare", "dc1-3")
	want.Baseline = linkOf(S1, S2, faults.Link{Delay: 40 * time.Millisecond})
	want.Baseline.SetProcess([]string{S3}, faults.Wiped)
	c := start(t, s, want)
	Ask(t, c, S1)
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.Empty(t, m.Mismatches(want.Baseline, []string{S1, S2, S3}), "from the beginning")
	RequireConditions(t, c, want.Baseline)
	var log bytes.Buffer
	require.NoError(t, c.Logs(t.Context(), S3, &log))
	require.Empty(t, log.String())
	RequireConditions(t, c, faults.Conditions{})
	require.Equal(t, 1, Ask(t, c, S3).Starts)
}

func testCutOff(t *testing.T, s Subject) {
	c := Up(t, s, "cut-off")
	dead := processOf(S1, faults.Killed)
	dead.SetProcess([]string{S2, S3}, faults.Killed)
	RequireConditions(t, c, dead)
	began := time.Now()
	require.NoError(t, c.Set(t.Context(), faults.Conditions{}))
	usual := time.Since(began) // of a change that nothing has cut off, on this machine
	for i := range 12 {
		RequireConditions(t, c, dead)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*15*time.Millisecond)
		if err := c.Set(ctx, faults.Conditions{}); err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		cancel()
		began = time.Now()
		require.NoError(t, c.Set(t.Context(), faults.Conditions{}))
		require.Less(t, time.Since(began), 9*time.Second+2*usual, "it waits for nobody who has just been started")
		RequireConditions(t, c, faults.Conditions{})
	}
}

func testDeadNodesRefuse(t *testing.T, s Subject) {
	c := Up(t, s, "dead")
	var refused atomic.Int64
	Ask(t, c, S1)
	keepAlive := &http.Client{Transport: transport(c, S1, false)}
	answer, err := keepAlive.Get("http://" + S1 + "/")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, c.Set(t.Context(), processOf(S1, faults.Killed)))
	for range 100 {
		_, err := Web(c, S1).Get("http://" + S1 + "/")
		require.ErrorIs(t, err, syscall.ECONNREFUSED, "definite: nobody received the request")
	}
	_, err = keepAlive.Post("http://"+S1+"/", "", strings.NewReader("x"))
	require.Error(t, err, "what stood open has ended")
	RequireConditions(t, c, faults.Conditions{})
	Ask(t, c, S1)

	// Nor is there doubt while it dies and starts.
	over := make(chan struct{})
	doubtful := make(chan error, 1)
	go func() {
		defer close(doubtful)
		for {
			conn, err := c.Endpoint(S1).Dial(t.Context())
			if err == nil {
				err = conn.Close()
			} else if errors.Is(err, syscall.ECONNREFUSED) {
				refused.Add(1)
				err = nil
			}
			if err != nil {
				doubtful <- err
				return
			}
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	for range 5 {
		require.NoError(t, c.Set(t.Context(), processOf(S1, faults.Killed)))
		require.NoError(t, c.Set(t.Context(), faults.Conditions{}))
		Ask(t, c, S1)
	}
	close(over)
	require.NoError(t, <-doubtful)
	require.NotZero(t, refused.Load())
}

func testPausedNodes(t *testing.T, s Subject) {
	c := Up(t, s, "pause")
	Ask(t, c, S1)
	paused, killed := processOf(S1, faults.Paused), processOf(S1, faults.Killed)
	RequireConditions(t, c, paused)

	answered := make(chan error, 1)
	go func() {
		answer, err := Web(c, S1).Get("http://" + S1 + "/")
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
	RequireConditions(t, c, faults.Conditions{})
	require.NoError(t, <-answered)
	require.Equal(t, 1, Ask(t, c, S1).Starts)

	// From paused to killed, from killed to paused, and back.
	for _, want := range []faults.Conditions{paused, killed, paused, {}} {
		RequireConditions(t, c, want)
	}
	require.Equal(t, 2, Ask(t, c, S1).Starts)
}

func testNodesThatEnded(t *testing.T, s Subject) {
	c := Up(t, s, "exit")
	Ask(t, c, S3)
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Exited(early, S3), context.DeadlineExceeded)

	answer, err := Web(c, S3).Get("http://" + S3 + "/leave")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, c.Exited(t.Context(), S3))
	died := s.Died(t.Context(), c, S3)
	require.ErrorContains(t, died, "dc1-s3 ended as soon as it was started, with exit code 0: ")
	require.ErrorContains(t, died, "err: start 1")
	require.NoError(t, s.Died(t.Context(), c, S2))
	RequireConditions(t, c, processOf(S3, faults.Killed))
	RequireConditions(t, c, faults.Conditions{})
	require.Equal(t, 2, Ask(t, c, S3).Starts)
}

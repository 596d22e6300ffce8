package podstest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

func testManyAtOnce(t *testing.T, s Subject) {
	c := Up(t, s, "many")
	var work sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		work.Go(func() {
			want := linkOf(S1, S2, faults.Link{Drop: i%2 == 0, Reject: i%2 == 1})
			want.SetProcess([]string{S3}, []faults.ProcessState{faults.Running, faults.Paused, faults.Killed}[i%3])
			_, err := c.Measure(t.Context())
			errs[i] = errors.Join(err, c.Set(t.Context(), want))
		})
	}
	work.Wait()
	require.NoError(t, errors.Join(errs...))
	RequireConditions(t, c, faults.Conditions{})
}

func testRefusals(t *testing.T, _ Subject, c nodes.Cluster) {
	drop := faults.Link{Drop: true}
	for _, refused := range []struct {
		conditions faults.Conditions
		why        string
	}{
		{processOf("x", faults.Killed), `no node "x"`},
		{processOf(S1, "ill"), `no process state "ill"`},
		{linkOf(S1, "x", drop), `no node "x"`},
		{linkOf("x", S1, drop), `no node "x"`},
	} {
		require.ErrorContains(t, c.Set(t.Context(), refused.conditions), refused.why)
	}
	require.ErrorContains(t, c.Exited(t.Context(), "x"), `no node "x"`)
	require.ErrorContains(t, c.Logs(t.Context(), "x", io.Discard), `no node "x"`)
	_, err := c.Endpoint("x").Dial(t.Context())
	require.ErrorContains(t, err, `no node "x"`)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Set(over, faults.Conditions{}), context.Canceled)
	require.ErrorIs(t, c.Exited(over, S1), context.Canceled)
	require.ErrorIs(t, c.Logs(over, S1, io.Discard), context.Canceled)
	RequireConditions(t, c, faults.Conditions{})
}

func testFailedStarts(t *testing.T, s Subject) {
	Need(t, s)
	t.Run("the node is no program", func(t *testing.T) {
		failing := Spec(t, "text")
		text := filepath.Join(t.TempDir(), "text")
		require.NoError(t, os.WriteFile(text, []byte("no program\n"), 0o644))
		failing.System = System{Program: text}
		_, err := s.Runtime.Start(t.Context(), failing)
		require.ErrorContains(t, err, "dc1-s1 ended as soon as it was started, with exit code 1: ")
		require.ErrorContains(t, err, "exec /bin/node: exec format error")
		require.Empty(t, s.Leftovers(t, failing.Run))
	})
	for _, stage := range []string{"starting 3 pods", "starting 3 nodes"} {
		for _, after := range []time.Duration{0, 30 * time.Millisecond} {
			t.Run("it is called off "+after.String()+" after "+stage, func(t *testing.T) {
				requireCalledOff(t, s, stage, after)
			})
		}
	}
	t.Run("the name is taken", func(t *testing.T) {
		c := Up(t, s, "taken")
		_, err := s.Runtime.Start(t.Context(), Spec(t, "taken"))
		require.ErrorContains(t, err, s.Taken)
		require.Equal(t, 1, Ask(t, c, S1).Starts, "the first is unharmed")
	})
}

// requireCalledOff calls a start off that has come as far as a stage, which it then leaves no
// trace of.
func requireCalledOff(t *testing.T, s Subject, stage string, after time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	off := Spec(t, "off")
	off.Progress = func(what string) {
		switch {
		case what != stage:
		case after == 0:
			cancel()
		default:
			time.AfterFunc(after, cancel)
		}
	}
	_, err := s.Runtime.Start(ctx, off)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, s.Leftovers(t, off.Run))
}

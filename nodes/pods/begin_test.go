package pods

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// noLaunch is for pods whose Start needs nothing.
func noLaunch(context.Context, topologies.Node, nodes.StartKind) (nodes.Launch, error) {
	return nodes.Launch{}, nil
}

func TestAPodThatCannotBeReachedIsNamed(t *testing.T) {
	group := NewGroup(slog.New(slog.DiscardHandler), noLaunch, []Member{{Node: topologies.Node{Name: "dc1-s1"},
		Open: func(context.Context) (io.ReadWriteCloser, error) { return nil, errors.New("no answer") }}})
	require.EqualError(t, group.Begin(t.Context(), "dc1-s1", faults.Conditions{}), "the pod of dc1-s1: no answer")
}

func TestAPanicInTheWorkOnAPodIsAnError(t *testing.T) {
	done := false
	err := Each([]string{"dc1-s1", "dc1-s2"}, func(pod string) error {
		if pod == "dc1-s1" {
			panic("no such pod")
		}
		done = true
		return nil
	})
	require.ErrorContains(t, err, "the work on a pod panicked: no such pod, in faultline/nodes/pods.TestAPanic")
	require.True(t, done)
}

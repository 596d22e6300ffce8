package pods

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

func TestSettleTellsWhoHasEnded(t *testing.T) {
	ended := errors.New("b has ended")
	group := func(died error) *Group {
		g := NewGroup(slog.New(slog.DiscardHandler), noLaunch, []Member{
			{Node: topologies.Node{Name: "a"}, Died: func(context.Context) error { return nil }},
			{Node: topologies.Node{Name: "b"}, Died: func(context.Context) error { return died }},
			{Node: topologies.Node{Name: "c"}, Died: func(context.Context) error { return ended }},
		})
		g.byName["a"].asked, g.byName["b"].asked = faults.Running, faults.Running // and c is not begun
		return g
	}
	require.NoError(t, group(nil).Settle(t.Context()))
	require.ErrorIs(t, group(ended).Settle(t.Context()), ended)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, group(nil).Settle(over), context.Canceled)
}

func TestASpecIsHeard(t *testing.T) {
	quiet := Heard(nodes.Spec{})
	quiet.Progress("nobody listens")
	quiet.Log.Info("nobody listens")
	var said string
	log := slog.New(slog.DiscardHandler)
	loud := Heard(nodes.Spec{Log: log, Progress: func(what string) { said = what }})
	loud.Progress("up")
	require.Equal(t, "up", said)
	require.Same(t, log, loud.Log)
}

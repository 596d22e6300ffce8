package pods

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/topologies"
)

// A pod without a stream takes its harness for dead: one that breaks is opened again though nobody
// asks for anything, at the second try if need be, and the pod is told again what was asked of it.
func TestAStreamThatBreaksIsOpenedAgainUnasked(t *testing.T) {
	applied, opens := make(chan injector.State), 0
	var broken io.Closer
	c := newControl(slog.New(slog.DiscardHandler), func(context.Context) (io.ReadWriteCloser, error) {
		if opens++; opens == 2 {
			return nil, errors.New("the engine is busy")
		}
		ours, theirs := net.Pipe()
		broken = theirs
		go func() {
			defer theirs.Close()
			injector.Serve(theirs, theirs, injector.Handlers{
				Apply: func(s injector.State) (faults.ProcessState, error) { applied <- s; return s.Process, nil },
				Heard: func(injector.Heard) (injector.Hearing, error) { return injector.Hearing{}, nil },
			})
		}()
		return ours, nil
	})
	asked := injector.State{Process: faults.Paused, Disk: faults.Disk{Torn: 7}}
	go c.do(t.Context(), time.Minute, injector.Request{Apply: &asked})
	require.Equal(t, asked, <-applied)
	require.NoError(t, broken.Close())
	require.Equal(t, asked, <-applied)
	require.NoError(t, c.hangUp(true))
	require.Equal(t, 3, opens)
	_, err := c.client(t.Context())
	require.ErrorIs(t, err, errClosed)
}

// A node meets what its pod was told before it starts: whom to let in, and the baseline.
func TestAPodIsToldBeforeItsNodeBegins(t *testing.T) {
	f := &fakePod{}
	var before injector.State
	f.starting = func(context.Context) error { before = f.applied; return nil }
	g := f.group(t)
	require.NoError(t, g.Begin(t.Context(), "a", faults.Conditions{}))
	require.Equal(t, faults.Running, before.Process)
}

func TestPodsAreToldOfTheirPeers(t *testing.T) {
	g := NewGroup(slog.New(slog.DiscardHandler), noLaunch, []Member{member("a", "10.0.0.1"), member("b", "10.0.0.2"), member("c", "10.0.0.3")})
	states, err := g.states(faults.Conditions{})
	require.NoError(t, err)
	require.Equal(t, "[10.0.0.1 10.0.0.3]", fmt.Sprint(states["b"].Peers))
}

func member(node, addr string) Member {
	return Member{Node: topologies.Node{Name: node}, Addr: netip.MustParseAddr(addr)}
}

package pods

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/injector"
	"faultline/workloads/history"
)

func TestThePodOfOneNodeIsAskedForTheEchoOfAnother(t *testing.T) {
	a := member("a", "10.0.0.1")
	a.Open = func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			injector.Serve(theirs, theirs, injector.Handlers{
				Heard: func(injector.Heard) (injector.Hearing, error) { return injector.Hearing{}, nil },
				Echo: func(e injector.Echo) (injector.Echoes, error) {
					if e.Peer != netip.MustParseAddr("10.0.0.2") {
						return injector.Echoes{}, errors.New("of whom?")
					}
					return injector.Echoes{Took: []time.Duration{time.Second}, Lost: 3}, nil
				},
			})
		}()
		return ours, nil
	}
	g := NewGroup(slog.New(slog.DiscardHandler), noLaunch, []Member{a, member("b", "10.0.0.2")})
	defer g.Close()
	seen, err := g.Echo(t.Context(), "a", "b")
	require.NoError(t, err)
	require.Equal(t, history.Echo{To: "b", Took: []time.Duration{time.Second}, Lost: 3}, seen)
	_, err = g.Echo(t.Context(), "a", "a")
	require.ErrorContains(t, err, "the echo from a to a: of whom?")
	_, err = g.Echo(t.Context(), "a", "c")
	require.ErrorContains(t, err, `no node "c"`)
}

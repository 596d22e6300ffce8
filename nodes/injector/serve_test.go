package injector

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// pipes joins a Client to a Serve of the handlers.
func pipes(t *testing.T, h Handlers) *Client {
	requests, toServe := io.Pipe()
	replies, fromServe := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- Serve(requests, fromServe, h)
		fromServe.Close()
	}()
	c := NewClient(struct {
		io.Reader
		io.WriteCloser
	}{replies, toServe})
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, <-served)
	})
	return c
}

func TestClientAndServe(t *testing.T) {
	probing, release := make(chan struct{}), make(chan struct{})
	var applied []State
	c := pipes(t, Handlers{
		Apply: func(s State) (faults.ProcessState, error) {
			applied = append(applied, s)
			if s.Process == faults.Killed {
				return faults.Running, errors.New("it does not die")
			}
			return s.Process, nil
		},
		Probe: func(p Probe) (Attempts, error) {
			close(probing)
			<-release
			return Attempts{TCP: map[netip.Addr]faults.TCPResult{p.Peers[0]: faults.TCPRefused}}, nil
		},
		Heard: func(h Heard) (Hearing, error) {
			return Hearing{Heard: []netip.Addr{peer1, peer2}, Process: faults.Paused}, nil
		},
		Echo: func(e Echo) (Echoes, error) {
			if e.Peer != peer2 {
				return Echoes{}, errors.New("of whom?")
			}
			return Echoes{Took: []time.Duration{7}, Lost: 2}, nil
		},
	})
	probed := make(chan Reply, 1)
	go func() {
		reply, err := c.Do(t.Context(), Request{Probe: &Probe{Nonce: 1, Peers: []netip.Addr{peer2}, TimeoutMS: 1}})
		if err == nil {
			probed <- reply
		}
		close(probed)
	}()
	<-probing

	reply, err := c.Do(t.Context(), Request{Apply: &State{Process: faults.Paused, Links: map[netip.Addr]faults.Link{peer1: {Drop: true}}}})
	require.NoError(t, err, "a probe under way holds nobody up")
	require.Equal(t, faults.Paused, *reply.Process)
	_, err = c.Do(t.Context(), Request{Apply: &State{Process: faults.Killed}})
	require.EqualError(t, err, "it does not die")
	require.NotErrorIs(t, err, ErrStream)
	require.Equal(t, []State{{Process: faults.Paused, Links: map[netip.Addr]faults.Link{peer1: {Drop: true}}}, {Process: faults.Killed}}, applied)

	reply, err = c.Do(t.Context(), Request{Heard: &Heard{Nonce: 1}})
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{peer1, peer2}, reply.Heard)
	require.Equal(t, faults.Paused, *reply.Process)

	reply, err = c.Do(t.Context(), Request{Echo: &Echo{Peer: peer2}})
	require.NoError(t, err)
	require.Equal(t, &Echoes{Took: []time.Duration{7}, Lost: 2}, reply.Echo)

	_, err = c.Do(t.Context(), Request{})
	require.ErrorContains(t, err, "0 commands")

	close(release)
	require.Equal(t, map[netip.Addr]faults.TCPResult{peer2: faults.TCPRefused}, (<-probed).TCP)
	require.True(t, c.Alive())
}

func TestClientOfABrokenStream(t *testing.T) {
	for name, replies := range map[string]string{"ended": "", "not JSON": "hello\n"} {
		t.Run(name, func(t *testing.T) {
			c := NewClient(struct {
				io.Reader
				io.WriteCloser
			}{strings.NewReader(replies), nopCloser{io.Discard}})
			_, err := c.Do(t.Context(), Request{Heard: &Heard{}})
			require.ErrorIs(t, err, ErrStream)
			require.False(t, c.Alive())
		})
	}
}

func TestClientGivesUpWhenItsContextDoes(t *testing.T) {
	silence, _ := io.Pipe()
	_, full := io.Pipe() // takes nothing
	c := NewClient(struct {
		io.Reader
		io.WriteCloser
	}{silence, full})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	for range 2 * linesQueued {
		_, err := c.Do(ctx, Request{Heard: &Heard{}})
		require.ErrorContains(t, err, "over")
	}
	require.NoError(t, silence.Close())
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

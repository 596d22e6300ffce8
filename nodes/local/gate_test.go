//go:build linux

package local

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plainSocket is what a cluster's PID 1 would hand out, of this network namespace.
func plainSocket(t *testing.T) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	return fd
}

func loopback(t *testing.T, l net.Listener) netip.AddrPort {
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestConnectTellsWhatTheKernelDoes(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	addr := loopback(t, listener)
	conn, err := connect(t.Context(), plainSocket(t), addr)
	require.NoError(t, err)
	accepted, err := listener.Accept()
	require.NoError(t, err)
	require.Equal(t, accepted.RemoteAddr().String(), conn.LocalAddr().String())
	require.NoError(t, errors.Join(conn.Close(), accepted.Close(), listener.Close()))

	_, err = connect(t.Context(), plainSocket(t), addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	_, err = connect(over, plainSocket(t), addr)
	require.Error(t, err)
}

func TestConnectGivesUpWhenItsContextDoes(t *testing.T) {
	full := plainSocket(t)
	defer unix.Close(full)
	require.NoError(t, unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(full, 0))
	bound, err := unix.Getsockname(full)
	require.NoError(t, err)
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(bound.(*unix.SockaddrInet4).Port))
	for range 10 { // as many as the kernel queues for a listener that never accepts
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := connect(ctx, plainSocket(t), addr)
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return
		}
		defer conn.Close()
	}
	require.Fail(t, "every connection was accepted")
}

func TestAGateListensOnlyWhileTheNodeDoes(t *testing.T) {
	node, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	addr := loopback(t, node)
	require.NoError(t, node.Close())
	var dials atomic.Int64
	g, err := newGate(func(ctx context.Context) (*net.TCPConn, error) {
		dials.Add(1)
		return connect(ctx, plainSocket(t), addr)
	})
	require.NoError(t, err)
	refuses := func() bool {
		conn, err := net.Dial("tcp4", g.endpoint)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	require.True(t, refuses())
	g.await()
	require.Eventually(t, func() bool { return dials.Load() > 3 }, 20*time.Second, time.Millisecond)
	require.True(t, refuses(), "the node does not listen yet")

	for range 2 {
		node, err = net.Listen("tcp4", addr.String())
		require.NoError(t, err)
		require.Eventually(t, func() bool { return !refuses() }, 20*time.Second, time.Millisecond)
		requireEcho(t, g.endpoint, node)
		require.NoError(t, node.Close())
		// The first connection finds out that the node is gone; the gate then shuts.
		require.Eventually(t, refuses, 20*time.Second, time.Millisecond)
	}
	g.shut()
	require.True(t, refuses())
	require.NoError(t, g.close())
	g.await()
	require.True(t, refuses(), "closed for good")
}

// requireEcho talks through a gate. The node may first have to take connections that only
// tried whether there is one.
func requireEcho(t *testing.T, endpoint string, node net.Listener) {
	t.Helper()
	client, err := net.Dial("tcp4", endpoint)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, client.(*net.TCPConn).CloseWrite())
	for {
		conn, err := node.Accept()
		require.NoError(t, err)
		got, err := io.ReadAll(conn)
		if err == nil && len(got) > 0 {
			require.Equal(t, "question", string(got))
			_, err = conn.Write([]byte("answer"))
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			break
		}
		require.NoError(t, conn.Close())
	}
	answer, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))
}

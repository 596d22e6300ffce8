//go:build linux

package local

import (
	"context"
	"errors"
	"net"
	"net/netip"
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

package memnet

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

func pair(t testing.TB, n *Net) (a, b net.Conn) {
	l, err := n.Listen("10.0.0.1:80")
	require.NoError(t, err)
	defer l.Close()
	a, err = n.Dial(context.Background(), "10.0.0.2", "10.0.0.1:80")
	require.NoError(t, err)
	b, err = l.Accept()
	require.NoError(t, err)
	return a, b
}

// The suite by which golang.org/x/net tests whatever says that it is a net.Conn.
func TestConnsAreConns(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = pair(t, new(Net))
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

func TestWhatWasWrittenIsReadAfterAClose(t *testing.T) {
	a, b := pair(t, new(Net))
	text := bytes.Repeat([]byte("x"), 1000)
	_, err := a.Write(text)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, text, got)
	_, err = b.Write(text)
	require.ErrorIs(t, err, syscall.EPIPE)
}

func TestNobodyListens(t *testing.T) {
	n := new(Net)
	_, err := n.Dial(t.Context(), "10.0.0.2", "10.0.0.1:80")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	l, err := n.Listen("10.0.0.1:80")
	require.NoError(t, err)
	_, err = n.Listen("10.0.0.1:80")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	waits, err := n.Dial(t.Context(), "10.0.0.2", "10.0.0.1:80")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = waits.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestDatagrams(t *testing.T) {
	n := new(Net)
	a, err := n.ListenPacket("10.0.0.1:1")
	require.NoError(t, err)
	b, err := n.ListenPacket("10.0.0.2:1")
	require.NoError(t, err)
	_, err = a.WriteTo([]byte("hello"), b.LocalAddr())
	require.NoError(t, err)
	_, err = a.WriteTo([]byte("nobody"), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 1})
	require.NoError(t, err, "as of datagrams")
	buffer := make([]byte, 9)
	size, from, err := b.ReadFrom(buffer)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buffer[:size]))
	require.Equal(t, a.LocalAddr().String(), from.String())
	require.NoError(t, a.Close())
	_, _, err = a.ReadFrom(buffer)
	require.ErrorIs(t, err, net.ErrClosed)
}

// Whoever waits here lets virtual time go on.
func TestWaitingIsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(Net)
		a, b := pair(t, n)
		began := time.Now()
		require.NoError(t, a.SetReadDeadline(began.Add(time.Hour)))
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(began))
		time.AfterFunc(time.Hour, func() { _, _ = b.Write([]byte("x")) })
		require.NoError(t, a.SetReadDeadline(time.Time{}))
		_, err = a.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
}

func TestTheEndOfAProcessClosesAllItHas(t *testing.T) {
	n := new(Net)
	a, b := pair(t, n)
	l, err := n.Listen("10.0.0.2:80")
	require.NoError(t, err)
	s, err := n.ListenPacket("10.0.0.2:80")
	require.NoError(t, err)
	n.End("10.0.0.2")
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = a.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, _, err = s.ReadFrom(nil)
	require.ErrorIs(t, err, net.ErrClosed)
	n.End("nobody")
}

package injector

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxied is a node's listener and the address of a proxy before it.
func proxied(t *testing.T, secret Secret) (node *net.TCPListener, addr string) {
	node, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { node.Close() })
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() {
		over <- proxy{listener: listener, secret: secret, port: uint16(node.Addr().(*net.TCPAddr).Port)}.run()
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		require.NoError(t, <-over)
	})
	return node, listener.Addr().String()
}

func dialBoth(t *testing.T, node *net.TCPListener, addr string, secret Secret) (client, server *net.TCPConn) {
	c, err := DialProxy(t.Context(), addr, secret)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	server, err = node.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	return c.(*net.TCPConn), server
}

func TestAProxyPassesBothWaysAndEnds(t *testing.T) {
	secret := NewSecret()
	node, addr := proxied(t, secret)
	client, server := dialBoth(t, node, addr, secret)
	long := strings.Repeat("question", 100_000)
	go func() {
		io.WriteString(client, long)
		client.CloseWrite()
	}()
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	require.Equal(t, long, string(got))
	_, err = io.WriteString(server, "answer")
	require.NoError(t, err)
	require.NoError(t, server.Close())
	got, err = io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "answer", string(got))
}

func TestAProxyPassesResetsOn(t *testing.T) {
	secret := NewSecret()
	node, addr := proxied(t, secret)
	client, server := dialBoth(t, node, addr, secret)
	reset(server)
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	client, server = dialBoth(t, node, addr, secret)
	reset(client)
	_, err = server.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestAProxyTellsThatTheNodeRefuses(t *testing.T) {
	secret := NewSecret()
	node, addr := proxied(t, secret)
	require.NoError(t, node.Close())
	_, err := DialProxy(t.Context(), addr, secret)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorIs(t, err, ErrRefused)
}

func TestAProxyLetsNobodyInWithoutTheSecret(t *testing.T) {
	secret := NewSecret()
	node, addr := proxied(t, secret)
	almost := secret
	almost[31]++
	for _, word := range []string{string(almost[:]), secret.String(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
		conn, err := net.Dial("tcp4", addr)
		require.NoError(t, err)
		_, err = io.WriteString(conn, word)
		require.NoError(t, err)
		got, err := io.ReadAll(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Empty(t, got)
		require.NoError(t, conn.Close())
	}
	_, err := DialProxy(t.Context(), addr, almost)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.NoError(t, node.SetDeadline(time.Now()))
	_, err = node.Accept()
	require.ErrorContains(t, err, "timeout", "nobody has reached the node")
}

// A client that gives up while the node neither accepts nor refuses is not connected later.
func TestAProxyGivesUpWithItsClient(t *testing.T) {
	secret := NewSecret()
	silent, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	time.AfterFunc(20*time.Millisecond, func() { cancel(over) })
	_, err = DialProxy(ctx, silent.Addr().String(), secret)
	require.ErrorIs(t, err, over)

	client, server := tcpPair(t)
	_, err = client.Write([]byte("x"))
	require.NoError(t, err)
	_, err = proxy{port: 1}.connect(server)
	require.ErrorContains(t, err, "did not wait")
	client, server = tcpPair(t)
	require.NoError(t, client.Close())
	_, err = proxy{port: 1}.connect(server)
	require.Error(t, err)
}

// tcpPair is two ends of a connection.
func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer listener.Close()
	c, err := net.Dial("tcp4", listener.Addr().String())
	require.NoError(t, err)
	server, err = listener.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); server.Close() })
	return c.(*net.TCPConn), server
}

func TestSecretsComeBackAsTheyWere(t *testing.T) {
	s := NewSecret()
	require.NotEqual(t, s, NewSecret())
	got, err := ParseSecret(s.String())
	require.NoError(t, err)
	require.Equal(t, s, got)
	for _, bad := range []string{"", s.String()[2:], s.String() + "00", "x" + s.String()[1:]} {
		_, err := ParseSecret(bad)
		require.Error(t, err, bad)
	}
}

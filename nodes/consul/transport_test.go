package consul

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// broken is a server that plays f on the n'th request of all, counted from 1, and closes
// the connection if it returns false. Before f the request has been read in full.
func broken(t *testing.T, f func(n int, c net.Conn) bool) (endpoint string, requests *atomic.Int64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	requests = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, request.Body); err != nil {
						return
					}
					if !f(int(requests.Add(1)), conn) {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), requests
}

func say(c net.Conn, text string) { io.WriteString(c, text) }

const whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"

func TestAConnectionCutAtEveryStage(t *testing.T) {
	for name, f := range map[string]func(int, net.Conn) bool{
		"after the request": func(int, net.Conn) bool { return false },
		"in every byte of the answer's head": func(n int, c net.Conn) bool {
			say(c, whole[:n%40])
			return false
		},
		"in the answer's body": func(n int, c net.Conn) bool {
			say(c, whole[:len(whole)-1-n%4])
			return false
		},
		"by a reset": func(n int, c net.Conn) bool {
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			return false
		},
		"in a chunked body": func(n int, c net.Conn) bool {
			say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue")
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, requests := broken(t, f)
			c := newMethods(nodes.TCP(endpoint), ClientOptions{})
			defer c.Close()
			const tries = 40
			for range tries {
				_, err := c.Put(t.Context(), "k1", "1")
				require.Equal(t, history.ConnectionLost, nodes.CodeOf(err), "%v", err)
			}
			require.EqualValues(t, tries, requests.Load(), "each was sent once")
		})
	}
}

// TestAPooledConnectionThatBreaks breaks the connection on every second request: there
// net/http would send some again.
func TestAPooledConnectionThatBreaks(t *testing.T) {
	for name, put := range map[string]func(methods) error{
		"put":       func(c methods) error { _, err := c.Put(t.Context(), "k1", "1"); return err },
		"empty put": func(c methods) error { _, err := c.Put(t.Context(), "k1", ""); return err },
		"cas":       func(c methods) error { _, err := c.CAS(t.Context(), "k1", "1", 7); return err },
		"leave":     func(c methods) error { return c.Leave(t.Context()) },
		"transfer":  func(c methods) error { return c.Transfer(t.Context(), "s1") },
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, requests := broken(t, func(n int, c net.Conn) bool {
				if n%2 == 1 {
					say(c, whole)
				}
				return n%2 == 1
			})
			c := newMethods(nodes.TCP(endpoint), ClientOptions{})
			defer c.Close()
			for i := range 20 {
				err := put(c)
				if i%2 == 0 {
					require.NoError(t, err)
				} else {
					require.Equal(t, history.ConnectionLost, nodes.CodeOf(err), "%v", err)
				}
				require.EqualValues(t, i+1, requests.Load(), "each was sent once")
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := listener.Addr().String()
	require.NoError(t, listener.Close())
	c := newMethods(nodes.TCP(endpoint), ClientOptions{})
	_, err = c.Put(t.Context(), "k1", "1")
	require.Equal(t, history.Refused, nodes.CodeOf(err))
}

func TestNoWay(t *testing.T) {
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"no route": func(context.Context) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
		},
		"silence": func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := newMethods(nodes.Endpoint{Node: "s1", Dial: dial}, ClientOptions{}).Put(ctx, "k1", "1")
			require.Equal(t, history.Unreachable, nodes.CodeOf(err), "%v", err)
		})
	}
}

func TestAnAnswerThatDoesNotCome(t *testing.T) {
	for name, begin := range map[string]string{"at all": "", "in full": whole[:len(whole)-1]} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			defer close(done)
			endpoint, requests := broken(t, func(_ int, c net.Conn) bool { say(c, begin); <-done; return false })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			c := newMethods(nodes.TCP(endpoint), ClientOptions{})
			_, err := c.Put(ctx, "k1", "1")
			require.Equal(t, history.Timeout, nodes.CodeOf(err), "%v", err)
			require.LessOrEqual(t, requests.Load(), int64(1))
		})
	}
}

// A node that answers as no server should, and holds the connection, holds nobody up.
func TestAnswersThatEndNothing(t *testing.T) {
	for name, c := range map[string]struct {
		talk func(net.Conn, <-chan struct{})
		code history.Code
	}{
		"101 and silence": {func(c net.Conn, done <-chan struct{}) {
			say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			<-done
		}, history.Unknown},
		"100 and again": {func(c net.Conn, done <-chan struct{}) {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
					if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
						return
					}
				}
			}
		}, ""},
		"a body that trickles": {func(c net.Conn, done <-chan struct{}) {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
				}
			}
		}, history.Timeout},
		"headers that never end": {func(c net.Conn, done <-chan struct{}) {
			say(c, "HTTP/1.1 200 OK\r\n")
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
					if _, err := c.Write([]byte("A: b\r\n")); err != nil {
						return
					}
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			defer close(done)
			endpoint, _ := broken(t, func(_ int, conn net.Conn) bool { c.talk(conn, done); return false })
			client := newMethods(nodes.TCP(endpoint), ClientOptions{})
			for _, ask := range []func(context.Context) error{
				func(ctx context.Context) error { _, err := client.Put(ctx, "k1", "1"); return err },
				func(ctx context.Context) error { _, err := client.Observe(ctx); return err },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				began := time.Now()
				err := ask(ctx)
				cancel()
				require.Error(t, err)
				require.Less(t, time.Since(began), 5*time.Second)
				require.False(t, nodes.CodeOf(err).Definite(), "%v", err)
				if c.code != "" {
					require.Equal(t, c.code, nodes.CodeOf(err), "%v", err)
				}
			}
		})
	}
}

func TestACanceledContextSendsNothing(t *testing.T) {
	endpoint, requests := broken(t, func(_ int, c net.Conn) bool { say(c, whole); return true })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newMethods(nodes.TCP(endpoint), ClientOptions{}).Put(ctx, "k1", "1")
	require.True(t, nodes.CodeOf(err).Definite(), "%v", err)
	require.Zero(t, requests.Load())
}

func TestAnAnswerWithoutEnd(t *testing.T) {
	endpoint, _ := broken(t, func(_ int, c net.Conn) bool {
		say(c, "HTTP/1.1 200 OK\r\n\r\n")
		block := make([]byte, 1<<20)
		for {
			if _, err := c.Write(block); err != nil {
				return false
			}
		}
	})
	_, err := newMethods(nodes.TCP(endpoint), ClientOptions{}).Put(t.Context(), "k1", "1")
	require.Equal(t, history.Unknown, nodes.CodeOf(err))
}

func TestEveryErrorIsOne(t *testing.T) {
	_, err := newMethods(nodes.TCP("not an endpoint"), ClientOptions{}).Put(t.Context(), "k1", "1")
	_, ok := errors.AsType[*nodes.Error](err)
	require.True(t, ok, "%v", err)
	require.True(t, nodes.CodeOf(err).Definite())
}

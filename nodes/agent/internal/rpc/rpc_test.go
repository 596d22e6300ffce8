package rpc

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// serve starts a server on loopback and returns its address and how to stop it.
func serve(t *testing.T, handler Handler) (addr string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = Serve(ctx, conn, LAN, handler, slog.New(slog.DiscardHandler)) })
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		_ = listener.Close()
		all.Wait()
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func pool(t *testing.T) *Pool {
	p := NewPool(func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}, LAN, slog.New(slog.DiscardHandler))
	t.Cleanup(p.Close)
	return p
}

func TestCallsShareASession(t *testing.T) {
	addr, _ := serve(t, func(_ context.Context, r Request) Response {
		return Response{Body: append([]byte(r.Method+" "), r.Body...)}
	})
	p := pool(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r, err := p.Call(context.Background(), addr, Request{Method: "echo", Body: []byte{byte(i)}})
			if err != nil || !bytes.Equal(r.Body, []byte{'e', 'c', 'h', 'o', ' ', byte(i)}) {
				t.Errorf("call %d: %v %v", i, r, err)
			}
		})
	}
	all.Wait()
	require.Len(t, p.peers, 1)
}

func TestErrorsOfTheCallee(t *testing.T) {
	addr, _ := serve(t, func(context.Context, Request) Response {
		return Response{Code: history.NoLeader, Text: "No cluster leader", Hops: []history.Hop{{Node: "a"}}}
	})
	r, err := pool(t).Call(context.Background(), addr, Request{})
	require.Equal(t, &nodes.Error{Code: history.NoLeader, Text: "No cluster leader"}, err)
	require.Len(t, r.Hops, 1)
}

func TestNobodyListens(t *testing.T) {
	addr, stop := serve(t, func(context.Context, Request) Response { return Response{} })
	stop()
	_, err := pool(t).Call(context.Background(), addr, Request{})
	require.Equal(t, history.Unreachable, nodes.CodeOf(err))
}

func TestDeadlineReachesTheCallee(t *testing.T) {
	ended, judged := make(chan struct{}), make(chan struct{})
	addr, _ := serve(t, func(ctx context.Context, _ Request) Response {
		<-ctx.Done()
		close(ended)
		<-judged // answers only when nobody waits any more
		return Response{}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := pool(t).Call(ctx, addr, Request{})
	close(judged)
	require.Equal(t, history.Timeout, nodes.CodeOf(err))
	<-ended
}

func TestCalleeDiesDuringACall(t *testing.T) {
	called := make(chan struct{})
	addr, stop := serve(t, func(ctx context.Context, _ Request) Response {
		close(called)
		<-ctx.Done()
		return Response{Code: history.Shutdown}
	})
	p := pool(t)
	go func() {
		<-called
		stop()
	}()
	_, err := p.Call(context.Background(), addr, Request{})
	require.Error(t, err)
	require.False(t, nodes.CodeOf(err).Definite())
}

func FuzzFrame(f *testing.F) {
	for _, v := range []any{
		Request{Method: "kv.read", Remaining: time.Second, Final: true, Body: []byte("x")},
		Response{Code: history.NotLeader, Text: "t", Hops: []history.Hop{{Node: "n", Role: "leader", MS: 1.5}}},
	} {
		b, err := frame(v)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var request Request
		if readFrame(bytes.NewReader(data), &request) == nil {
			b, err := frame(request)
			require.NoError(t, err)
			var again Request
			require.NoError(t, readFrame(bytes.NewReader(b), &again))
			require.Equal(t, request, again)
		}
		var response Response
		_ = readFrame(bytes.NewReader(data), &response) // must only not crash: hops hold floats, and NaN is not itself
	})
}

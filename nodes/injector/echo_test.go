package injector

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var here = netip.MustParseAddr("127.0.0.1")

// echoing is an echo server of the test, and exchanges with it.
func echoing(t *testing.T, serve func(net.Conn)) *echoes {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	e := &echoes{port: listener.Addr().(*net.TCPAddr).AddrPort().Port()}
	t.Cleanup(e.close)
	return e
}

// until collects until that is enough.
func until(t *testing.T, e *echoes, enough func(Echoes) bool) (all Echoes) {
	t.Helper()
	require.Eventually(t, func() bool {
		seen, err := e.collect(Echo{Peer: here})
		require.NoError(t, err)
		all.Took, all.Lost = append(all.Took, seen.Took...), all.Lost+seen.Lost
		return enough(all)
	}, time.Minute, 10*time.Millisecond)
	return all
}

func TestExchangesAreTimed(t *testing.T) {
	e := echoing(t, answer)
	first, err := e.collect(Echo{Peer: here})
	require.NoError(t, err)
	require.Empty(t, first, "the first begins with them")
	all := until(t, e, func(s Echoes) bool { return len(s.Took) > 3*echoConns })
	require.Zero(t, all.Lost)
	for _, took := range all.Took {
		require.Positive(t, took)
	}
}

// An answer that comes late is timed as what it took, and keeps no other connection waiting.
func TestALateAnswerIsTimedAsItIs(t *testing.T) {
	const late = 400 * time.Millisecond
	slow := make(chan struct{}, 1)
	slow <- struct{}{}
	e := echoing(t, func(conn net.Conn) {
		select {
		case <-slow:
			time.Sleep(late)
		default:
		}
		answer(conn)
	})
	before := until(t, e, func(s Echoes) bool {
		return slices.ContainsFunc(s.Took, func(took time.Duration) bool { return took > late/2 })
	})
	require.Greater(t, len(before.Took), 1)
}

func TestWhatIsLostIsCountedAndTriedAgain(t *testing.T) {
	hangUps := make(chan struct{}, echoConns)
	for range echoConns {
		hangUps <- struct{}{}
	}
	e := echoing(t, func(conn net.Conn) {
		select {
		case <-hangUps:
			_, _ = io.ReadFull(conn, make([]byte, echoBytes))
			conn.Close()
		default:
			answer(conn)
		}
	})
	all := until(t, e, func(s Echoes) bool { return s.Lost >= echoConns && len(s.Took) > 0 })
	require.Equal(t, echoConns, all.Lost)
}

func TestExchangesEndWhenNobodyAsks(t *testing.T) {
	e := echoing(t, answer)
	until(t, e, func(s Echoes) bool { return len(s.Took) > 0 })
	e.forget(here) // as the lease does
	e.work.Wait()
	e.mu.Lock()
	require.Empty(t, e.peers)
	e.mu.Unlock()
	until(t, e, func(s Echoes) bool { return len(s.Took) > 0 })
	e.close()
	_, err := e.collect(Echo{Peer: here})
	require.ErrorIs(t, err, net.ErrClosed)
}

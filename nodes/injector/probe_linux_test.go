package injector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// loopProber is a prober on a free port.
func loopProber(t *testing.T) *prober {
	p, err := newProber(netip.MustParseAddrPort("0.0.0.0:0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.close()) })
	return p
}

func TestProbesAreHeard(t *testing.T) {
	receiver := loopProber(t)
	self := netip.MustParseAddr("127.0.0.1")

	seen, err := receiver.probe(Probe{Nonce: 5, Peers: []netip.Addr{self}, TimeoutMS: 10_000})
	require.NoError(t, err)
	require.Equal(t, map[netip.Addr]TCP{self: Open}, seen)

	heard, err := receiver.listHeard(5)
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{self}, heard)
	heard, err = receiver.listHeard(6)
	require.NoError(t, err)
	require.Empty(t, heard)
}

func TestOldNoncesAreForgotten(t *testing.T) {
	p := loopProber(t)
	for nonce := range uint64(2 * noncesKept) {
		p.note(datagram{probeKind, nonce}, peer1)
		p.note(datagram{probeKind, nonce}, peer1)
		p.note(datagram{probeKind, nonce}, peer2)
	}
	require.Len(t, p.heard, noncesKept)
	require.Equal(t, []netip.Addr{peer1, peer2}, p.heard[2*noncesKept-1])
}

func TestAPortInUseIsWaitedFor(t *testing.T) {
	first, err := newProber(netip.MustParseAddrPort("127.0.0.1:0"))
	require.NoError(t, err)
	second := make(chan error, 1)
	go func() {
		p, err := newProber(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), first.port))
		if err == nil {
			err = p.close()
		}
		second <- err
	}()
	require.NoError(t, first.close())
	require.NoError(t, <-second)
}

func TestHowConnectionsFail(t *testing.T) {
	for err, want := range map[error]TCP{
		syscall.ECONNREFUSED:     Refused,
		syscall.ECONNRESET:       Refused,
		syscall.ETIMEDOUT:        Timeout,
		context.DeadlineExceeded: Timeout,
	} {
		got, failed := classify(&net.OpError{Op: "dial", Err: err})
		require.NoError(t, failed)
		require.Equal(t, want, got)
	}
	_, err := classify(errors.New("no route"))
	require.ErrorContains(t, err, "no route")
}

package injector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// loopProber is a prober on a port that is free for both protocols; the kernel knows
// which are free for one.
func loopProber(t *testing.T) *prober {
	var p *prober
	var err error
	for range 20 {
		if p, err = newProber(netip.MustParseAddrPort("0.0.0.0:0")); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.close()) })
	return p
}

func TestProbesAreHeard(t *testing.T) {
	receiver := loopProber(t)
	self := netip.MustParseAddr("127.0.0.1")

	seen, err := receiver.probe(Probe{Nonce: 5, Peers: []netip.Addr{self}, TimeoutMS: 10_000})
	require.NoError(t, err)
	require.Equal(t, map[netip.Addr]faults.TCPResult{self: faults.TCPOpen}, seen.TCP)

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

func TestHowConnectionsFail(t *testing.T) {
	for err, want := range map[error]faults.TCPResult{
		syscall.ECONNREFUSED:     faults.TCPRefused,
		syscall.ECONNRESET:       faults.TCPRefused,
		syscall.ETIMEDOUT:        faults.TCPTimeout,
		context.DeadlineExceeded: faults.TCPTimeout,
	} {
		got, failed := classify(&net.OpError{Op: "dial", Err: err})
		require.NoError(t, failed)
		require.Equal(t, want, got)
	}
	_, err := classify(errors.New("no route"))
	require.ErrorContains(t, err, "no route")
}

func TestThePortOfProbesEchoes(t *testing.T) {
	p := loopProber(t)
	all := until(t, &p.echoes, func(s Echoes) bool { return len(s.Took) > 0 })
	require.Zero(t, all.Lost)
}

package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"faultline/nodes"
)

// transport is memberlist's transport over a Host.
type transport struct {
	host      nodes.Host
	log       *slog.Logger
	advertise netip.AddrPort

	packets  net.PacketConn
	streams  net.Listener
	packetCh chan *memberlist.Packet
	streamCh chan net.Conn
	stop     chan struct{}
	loops    sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// maxPacket is the largest datagram that IP can carry.
const maxPacket = 65536

func newTransport(host nodes.Host, bind, advertise netip.AddrPort) (*transport, error) {
	packets, err := host.ListenPacket(bind.String())
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	streams, err := host.Listen(bind.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), packets.Close())
	}
	t := &transport{host: host, log: host.Log(), advertise: advertise, packets: packets, streams: streams,
		packetCh: make(chan *memberlist.Packet), streamCh: make(chan net.Conn), stop: make(chan struct{})}
	t.loops.Go(t.readPackets)
	t.loops.Go(t.acceptStreams)
	return t, nil
}

func (t *transport) readPackets() {
	buffer := make([]byte, maxPacket)
	for {
		n, from, err := t.packets.ReadFrom(buffer)
		if err != nil {
			if t.over(err) {
				return
			}
			continue
		}
		packet := &memberlist.Packet{Buf: append([]byte(nil), buffer[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packetCh <- packet:
		case <-t.stop:
			return
		}
	}
}

func (t *transport) acceptStreams() {
	for {
		conn, err := t.streams.Accept()
		if err != nil {
			if t.over(err) {
				return
			}
			continue
		}
		select {
		case t.streamCh <- conn:
		case <-t.stop:
			closeQuietly(conn)
			return
		}
	}
}

// over reports whether a socket's error ends its loop. Others pass: a rejected datagram
// shows up as an error of the next read, and a process may be out of descriptors for a
// while. The pause keeps a lasting error from burning the processor.
func (t *transport) over(err error) bool {
	select {
	case <-t.stop:
		return true
	default:
	}
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	t.log.Debug("gossip: socket", "error", err)
	select {
	case <-t.stop:
		return true
	case <-time.After(5 * time.Millisecond):
		return false
	}
}

// FinalAdvertiseAddr is the address for the other agents.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteTo sends a datagram.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.packets.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// WriteToAddress sends a datagram.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// PacketCh delivers what arrives.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packetCh }

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return t.host.Dial(ctx, addr)
}

// DialAddressTimeout opens a stream.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(addr.Addr, timeout)
}

// StreamCh delivers streams that others opened.
func (t *transport) StreamCh() <-chan net.Conn { return t.streamCh }

// Shutdown closes the sockets and waits for the loops.
func (t *transport) Shutdown() error {
	close(t.stop)
	err := errors.Join(t.packets.Close(), t.streams.Close())
	t.loops.Wait()
	return err
}

// closeQuietly closes what nobody uses: its error could change nothing.
func closeQuietly(c net.Conn) { _ = c.Close() }

package agent

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/memnet"
)

// wire is the network between the agents of a test. A link that is cut swallows what is
// sent, on open connections too, and those stay dumb after the link has healed: it is
// the agents that must notice, and dial again.
type wire struct {
	memnet.Net

	mu    sync.Mutex
	cuts  map[[2]string]bool // pairs of IPs, both ways round
	conns map[*wireConn]bool
}

func newWire() *wire { return &wire{cuts: map[[2]string]bool{}, conns: map[*wireConn]bool{}} }

// cut cuts the links between an IP and others.
func (w *wire) cut(ip string, others ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range others {
		w.cuts[[2]string{ip, other}], w.cuts[[2]string{other, ip}] = true, true
	}
	for c := range w.conns {
		if w.cuts[c.ends] {
			c.dumb.Store(true)
		}
	}
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cuts)
}

func (w *wire) isCut(from, to string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cuts[[2]string{from, to}]
}

// wireHost is a host on a wire. Cutting happens where a connection is dialled and a
// datagram is sent.
type wireHost struct {
	nodes.Host
	wire  *wire
	ip    string
	ahead atomic.Int64 // nanoseconds that Monotonic is ahead
	wall  atomic.Int64 // nanoseconds that Now is ahead
	full  atomic.Bool  // the disk is
}

func (h *wireHost) Disk() nodes.Disk { return fullDisk{h.Host.Disk(), &h.full} }

func (h *wireHost) Now() time.Time { return h.Host.Now().Add(time.Duration(h.wall.Load())) }

func (h *wireHost) Monotonic() time.Duration {
	return h.Host.Monotonic() + time.Duration(h.ahead.Load())
}

func (h *wireHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if h.wire.isCut(h.ip, to) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := h.wire.Net.Dial(ctx, h.ip, addr)
	if err != nil {
		return nil, err
	}
	c := &wireConn{Conn: conn, wire: h.wire, ends: [2]string{h.ip, to}}
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	h.wire.conns[c] = true
	c.dumb.Store(h.wire.cuts[c.ends])
	return c, nil
}

func (h *wireHost) ListenPacket(addr string) (net.PacketConn, error) {
	conn, err := h.wire.Net.ListenPacket(addr)
	return wirePacket{conn, h}, err
}

func (h *wireHost) Listen(addr string) (net.Listener, error) { return h.wire.Net.Listen(addr) }

type wireConn struct {
	net.Conn
	wire *wire
	ends [2]string
	dumb atomic.Bool
}

func (c *wireConn) Write(b []byte) (int, error) {
	if c.dumb.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *wireConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.dumb.Load() {
			return n, err
		}
	}
}

func (c *wireConn) Close() error {
	c.wire.mu.Lock()
	delete(c.wire.conns, c)
	c.wire.mu.Unlock()
	return c.Conn.Close()
}

type wirePacket struct {
	net.PacketConn
	host *wireHost
}

func (p wirePacket) WriteTo(b []byte, to net.Addr) (int, error) {
	if ip, _, err := net.SplitHostPort(to.String()); err == nil && p.host.wire.isCut(p.host.ip, ip) {
		return len(b), nil
	}
	return p.PacketConn.WriteTo(b, to)
}

// ips lists where nodes live, except some.
func ips(all []*node, except ...*node) (out []string) {
	for _, n := range all {
		if !slices.Contains(except, n) {
			out = append(out, n.host.ip)
		}
	}
	return out
}

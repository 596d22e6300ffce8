// Package memnet is a network in memory: streams and datagrams between addresses of one
// process. Whatever waits in it waits for a condition variable or a channel, and holds no
// lock, so it can be used in virtual time (testing/synctest), where package net cannot.
//
//	var n memnet.Net
//	l, err := n.Listen("10.0.0.1:80")
//	c, err := n.Dial(ctx, "10.0.0.2", "10.0.0.1:80")
//
// Only a dial takes time in it, so that a retry loop without a pause still lets virtual time
// advance. Nothing is lost but datagrams that have no receiver, or whose receiver does not
// read them.
package memnet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Net is a network. Its zero value is ready.
type Net struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	sockets   map[netip.AddrPort]*socket
	conns     map[*conn]bool
	ports     uint16
}

const (
	roundTrip = 100 * time.Microsecond
	backlog   = 128       // connections that wait to be accepted
	window    = 256 << 10 // bytes that a stream holds
	datagrams = 4096      // that a socket holds
)

// Listen waits for connections at an address, IP:PORT.
func (n *Net) Listen(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[at] != nil {
		return nil, opError("listen", at, syscall.EADDRINUSE)
	}
	if n.listeners == nil {
		n.listeners = map[netip.AddrPort]*listener{}
	}
	l := &listener{net: n, at: at, queue: make(chan *conn, backlog), done: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// Dial connects an IP to an address, which is refused where nobody listens.
func (n *Net) Dial(ctx context.Context, from, addr string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(roundTrip):
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[at]
	if l == nil {
		return nil, opError("dial", at, syscall.ECONNREFUSED)
	}
	n.ports++
	local := netip.AddrPortFrom(ip, 32768+n.ports%28000)
	there, back := newStream(), newStream()
	select {
	case l.queue <- n.open(there, back, at, local):
		return n.open(back, there, local, at), nil
	default:
		return nil, opError("dial", at, syscall.ECONNREFUSED)
	}
}

// open is called with the lock held.
func (n *Net) open(in, out *stream, local, remote netip.AddrPort) *conn {
	if n.conns == nil {
		n.conns = map[*conn]bool{}
	}
	c := &conn{net: n, in: in, out: out, local: local, remote: remote}
	n.conns[c] = true
	return c
}

// End closes all that an IP has, as the end of a process does.
func (n *Net) End(of string) {
	ip, err := netip.ParseAddr(of)
	if err != nil {
		return // nobody has it
	}
	var all []io.Closer
	n.mu.Lock()
	for c := range n.conns {
		if c.local.Addr() == ip {
			all = append(all, c)
		}
	}
	for at, l := range n.listeners {
		if at.Addr() == ip {
			all = append(all, l)
		}
	}
	for at, s := range n.sockets {
		if at.Addr() == ip {
			all = append(all, s)
		}
	}
	n.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // none fails
	}
}

// ListenPacket opens a socket for datagrams at an address, IP:PORT.
func (n *Net) ListenPacket(addr string) (net.PacketConn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[at] != nil {
		return nil, opError("listen", at, syscall.EADDRINUSE)
	}
	if n.sockets == nil {
		n.sockets = map[netip.AddrPort]*socket{}
	}
	s := &socket{net: n, at: at, inbox: make(chan datagram, datagrams), done: make(chan struct{})}
	n.sockets[at] = s
	return s, nil
}

func opError(op string, at netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: net.TCPAddrFromAddrPort(at), Err: os.NewSyscallError(op, err)}
}

type listener struct {
	net   *Net
	at    netip.AddrPort
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// Close refuses the connections that wait, and later ones.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.at)
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

// stream is one direction of a connection.
type stream struct {
	mu     sync.Mutex
	change sync.Cond // something below has changed, or a deadline has come
	held   []byte
	ended  bool // the writer has closed
	broken bool // the reader has
}

func newStream() *stream {
	s := &stream{}
	s.change.L = &s.mu
	return s
}

func (s *stream) end(side *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*side = true
	s.change.Broadcast()
}

// deadline wakes the waiters of a stream when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

// set is called with the stream's lock held.
func (d *deadline) set(s *stream, at time.Time) {
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
	}
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.change.Broadcast()
		})
	}
	s.change.Broadcast()
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// conn is one end of a connection.
type conn struct {
	net           *Net
	in, out       *stream
	local, remote netip.AddrPort
	reads, writes deadline // each guarded by its stream's lock
	closed        bool     // guarded by that of in
}

func (c *conn) Read(b []byte) (int, error) {
	s := c.in
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case len(s.held) > 0:
			n := copy(b, s.held)
			s.held = s.held[n:]
			s.change.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		case c.reads.over():
			return 0, os.ErrDeadlineExceeded
		}
		s.change.Wait()
	}
}

func (c *conn) Write(b []byte) (n int, err error) {
	s := c.out
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		room := window - len(s.held)
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.broken:
			return n, fmt.Errorf("write: %w", syscall.EPIPE)
		case len(b) == 0:
			return n, nil
		case c.writes.over():
			return n, os.ErrDeadlineExceeded
		case room > 0:
			part := b[:min(room, len(b))]
			s.held = append(s.held, part...)
			b, n = b[len(part):], n+len(part)
			s.change.Broadcast()
			continue
		}
		s.change.Wait()
	}
}

// Close ends both directions. What was written can still be read.
func (c *conn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	c.in.mu.Lock()
	c.closed, c.in.broken = true, true
	c.reads.set(c.in, time.Time{})
	c.in.mu.Unlock()
	c.out.mu.Lock()
	c.writes.set(c.out, time.Time{})
	c.out.mu.Unlock()
	c.out.end(&c.out.ended)
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetReadDeadline(at time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.reads.set(c.in, at)
	return nil
}

func (c *conn) SetWriteDeadline(at time.Time) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.writes.set(c.out, at)
	return nil
}

func (c *conn) SetDeadline(at time.Time) error {
	_ = c.SetReadDeadline(at) // neither fails
	return c.SetWriteDeadline(at)
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// socket sends and receives datagrams.
type socket struct {
	net   *Net
	at    netip.AddrPort
	inbox chan datagram
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex
	till time.Time
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	s.mu.Lock()
	till := s.till
	s.mu.Unlock()
	var over <-chan time.Time
	if !till.IsZero() {
		timer := time.NewTimer(time.Until(till))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case d := <-s.inbox:
		return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
	case <-s.done:
		return 0, nil, net.ErrClosed
	case <-over:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	at, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, err
	}
	s.net.mu.Lock()
	peer := s.net.sockets[at]
	s.net.mu.Unlock()
	if peer != nil {
		select {
		case peer.inbox <- datagram{s.at, append([]byte(nil), b...)}:
		default: // nobody reads: it is lost
		}
	}
	return len(b), nil
}

func (s *socket) Close() error {
	s.once.Do(func() {
		s.net.mu.Lock()
		delete(s.net.sockets, s.at)
		s.net.mu.Unlock()
		close(s.done)
	})
	return nil
}

func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.at) }

// SetReadDeadline counts from the next read on.
func (s *socket) SetReadDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.till = at
	return nil
}

func (s *socket) SetWriteDeadline(time.Time) error { return nil } // no write waits
func (s *socket) SetDeadline(at time.Time) error   { return s.SetReadDeadline(at) }

package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/rpc"
)

// One TCP port serves Raft and calls: the first byte of a connection says which.
const (
	protocolRPC  byte = 0
	protocolRaft byte = 1
	protocolWAN  byte = 2 // calls from other datacenters
)

// helloTimeout bounds the wait for the first byte.
const helloTimeout = 5 * time.Second

// port is the server's RPC port.
type port struct {
	host     nodes.Host
	log      *slog.Logger
	listener net.Listener
	serve    func(net.Conn, rpc.Limits) // calls
	raft     *streamLayer

	mu    sync.Mutex
	open  map[net.Conn]bool
	over  bool
	loops sync.WaitGroup
}

// openPort opens the port; ctx ends the calls that it serves.
func openPort(ctx context.Context, host nodes.Host, bind, advertise string, handler rpc.Handler) (*port, error) {
	listener, err := host.Listen(bind)
	if err != nil {
		return nil, err
	}
	p := &port{host: host, log: host.Log(), listener: listener, open: map[net.Conn]bool{}}
	p.raft = &streamLayer{host: host, addr: raftAddr(advertise), accepted: make(chan net.Conn), closed: make(chan struct{})}
	p.serve = func(conn net.Conn, limits rpc.Limits) {
		if err := rpc.Serve(ctx, conn, limits, handler, p.log); err != nil {
			p.log.Warn("rpc: connection", "from", conn.RemoteAddr(), "error", err)
		}
	}
	p.loops.Go(p.accept)
	return p, nil
}

func (p *port) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if p.stopping() || errors.Is(err, net.ErrClosed) {
				return
			}
			p.log.Warn("rpc: accept", "error", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		p.loops.Go(func() { p.greet(conn) })
	}
}

// greet reads the first byte and hands the connection on.
func (p *port) greet(conn net.Conn) {
	if !p.track(conn) {
		closeQuietly(conn)
		return
	}
	var hello [1]byte
	err := conn.SetReadDeadline(time.Now().Add(helloTimeout))
	if err == nil {
		_, err = io.ReadFull(conn, hello[:])
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	p.untrack(conn)
	switch {
	case err != nil:
		closeQuietly(conn)
	case hello[0] == protocolRaft:
		p.raft.deliver(conn)
	case hello[0] == protocolRPC:
		p.serve(conn, rpc.LAN)
	case hello[0] == protocolWAN:
		p.serve(conn, rpc.WAN)
	default:
		p.log.Warn("rpc: unknown protocol", "byte", hello[0], "from", conn.RemoteAddr())
		closeQuietly(conn)
	}
}

// track notes connections that have not said yet what they want, so that close can end them.
func (p *port) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.open[conn] = true
	}
	return !p.over
}

func (p *port) untrack(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

func (p *port) stopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// close ends the port; the context of openPort must be over.
func (p *port) close() error {
	p.mu.Lock()
	p.over = true
	for conn := range p.open {
		closeQuietly(conn)
	}
	p.mu.Unlock()
	err := errors.Join(p.listener.Close(), p.raft.Close())
	p.loops.Wait()
	return err
}

// dial opens a connection and says the first byte.
func dial(ctx context.Context, host nodes.Host, addr string, protocol byte) (net.Conn, error) {
	conn, err := host.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{protocol}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// streamLayer is Raft's part of the port.
type streamLayer struct {
	host     nodes.Host
	addr     raftAddr
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

var _ raft.StreamLayer = (*streamLayer)(nil)

func (l *streamLayer) deliver(conn net.Conn) {
	select {
	case l.accepted <- conn:
	case <-l.closed:
		closeQuietly(conn)
	}
}

// Accept is for Raft.
func (l *streamLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close is for Raft.
func (l *streamLayer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the advertised address.
func (l *streamLayer) Addr() net.Addr { return l.addr }

// Dial is for Raft.
func (l *streamLayer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return dial(ctx, l.host, string(to), protocolRaft)
}

type raftAddr string

func (raftAddr) Network() string  { return "tcp" }
func (a raftAddr) String() string { return string(a) }

// closeQuietly closes what is given up anyway: its error could change nothing.
func closeQuietly(c io.Closer) { _ = c.Close() }

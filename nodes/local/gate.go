//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// gate is a node's port on 127.0.0.1. It listens only while the node's own port does, as
// far as is known, so that a client of a dead node is refused, and need not wonder whether
// its request was received. It keeps its number all the time: one socket is bound to it and
// never listens, another one is bound beside it and does.
type gate struct {
	endpoint string
	reserved int // socket
	dial     func(context.Context) (*net.TCPConn, error)

	ctx    context.Context // ends with the gate
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener  // nil while shut
	watching chan struct{} // closed when the watch is to end; nil if there is none
}

const (
	watchPoll = 2 * time.Millisecond
	watchRest = 50 * time.Millisecond // after watchFast
	watchFast = 5 * time.Second
)

func newGate(dial func(context.Context) (*net.TCPConn, error)) (*gate, error) {
	g := &gate{dial: dial}
	var err error
	if g.reserved, g.endpoint, err = reserve(); err != nil {
		return nil, fmt.Errorf("a port on 127.0.0.1: %w", err)
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g, nil
}

// reserve binds a socket to a free port.
func reserve() (fd int, endpoint string, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "", err
	}
	loopback := [4]byte{127, 0, 0, 1}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback})
	}
	var bound unix.Sockaddr
	if err == nil {
		bound, err = unix.Getsockname(fd)
	}
	if err != nil {
		return -1, "", errors.Join(err, unix.Close(fd))
	}
	port := bound.(*unix.SockaddrInet4).Port
	return fd, netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(port)).String(), nil
}

// await opens the gate as soon as the node's port accepts a connection.
func (g *gate) await() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil || g.watching != nil || g.ctx.Err() != nil {
		return
	}
	stop := make(chan struct{})
	g.watching = stop
	g.work.Go(func() { g.watch(stop) })
}

func (g *gate) watch(stop chan struct{}) {
	began := time.Now()
	for !g.accepts() || !g.open(stop) {
		pause := watchPoll
		if time.Since(began) > watchFast {
			pause = watchRest
		}
		select {
		case <-time.After(pause):
		case <-stop:
			return
		case <-g.ctx.Done():
			return
		}
	}
}

func (g *gate) accepts() bool {
	conn, err := g.dial(g.ctx)
	if err != nil {
		return false // refused as a rule; whatever it is, the gate stays shut
	}
	return errors.Join(conn.SetLinger(0), conn.Close()) == nil
}

// open begins to listen, unless the watch that found reason to was told to stop. It tells
// whether the watch is over.
func (g *gate) open(stop chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watching != stop {
		return true
	}
	listener, err := net.Listen("tcp4", g.endpoint) // which sets SO_REUSEADDR
	if err != nil {
		return false
	}
	g.listener, g.watching = listener, nil
	g.work.Go(func() { g.accept(listener) })
	return true
}

// shut refuses connections from now on. Those that stand are left to end with the node.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watching != nil {
		close(g.watching)
		g.watching = nil
	}
	if g.listener != nil {
		g.listener.Close() // it was listening, so this cannot fail
		g.listener = nil
	}
}

func (g *gate) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(watchPoll) // the client gave up first, or there are no file descriptors
			continue
		}
		g.work.Go(func() { g.forward(conn.(*net.TCPConn)) })
	}
}

// forward joins a client to the node.
func (g *gate) forward(client *net.TCPConn) {
	node, err := g.dial(g.ctx)
	if err != nil {
		reset(client)
		if errors.Is(err, syscall.ECONNREFUSED) { // the node's port is gone
			g.shut()
			g.await()
		}
		return
	}
	end := context.AfterFunc(g.ctx, func() { reset(client); reset(node) })
	defer end()
	var back sync.WaitGroup
	back.Go(func() { pass(client, node) })
	pass(node, client)
	back.Wait()
	client.Close()
	node.Close()
}

// pass copies what comes from one to the other, and its end too. If either breaks, both do.
func pass(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		reset(to)
		reset(from)
	}
}

// reset ends a connection so that the other side learns that it broke.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0) // fails only if it is closed already
	conn.Close()
}

// close gives up the port, and breaks what still stands.
func (g *gate) close() error {
	g.cancel()
	g.shut()
	g.work.Wait()
	return unix.Close(g.reserved)
}

package injector

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

const secretLimit = 5 * time.Second // for a client to send the secret

// proxy is the server's side.
type proxy struct {
	listener net.Listener
	secret   Secret
	port     uint16 // of the node's API, at the address at which clients reach the proxy
}

// run answers until the listener is closed.
func (p proxy) run() error {
	return acceptAll(p.listener, func(client *net.TCPConn) { go p.answer(client) })
}

func (p proxy) answer(client *net.TCPConn) {
	var said Secret
	client.SetDeadline(time.Now().Add(secretLimit)) // fails only if it is closed
	_, err := io.ReadFull(client, said[:])
	if err != nil || subtle.ConstantTimeCompare(said[:], p.secret[:]) != 1 {
		reset(client)
		return
	}
	client.SetDeadline(time.Time{})
	node, err := p.connect(client)
	switch {
	case err == nil:
		client.Write([]byte{connected}) // a client that is gone is met below
		join(client, node)
		return
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET): // it died as it accepted
		client.Write([]byte{refused})
	default:
		fmt.Fprintf(client, "%c%.*s", failed, maxProxyText, err)
	}
	client.Close()
}

// connect connects to the node, for as long as the client waits. (A paused node's kernel accepts
// connections until its queue is full, and then neither accepts nor refuses.)
func (p proxy) connect(client *net.TCPConn) (*net.TCPConn, error) {
	own, err := netip.ParseAddrPort(client.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1)) // it has nothing to say until it is answered
		cancel()
		heard <- err
	}()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort(own.Addr().Unmap().String(), strconv.Itoa(int(p.port))))
	client.SetReadDeadline(time.Unix(1, 0))
	var timeout net.Error
	if said := <-heard; !errors.As(said, &timeout) || !timeout.Timeout() {
		err = errors.Join(errors.New("the client did not wait"), err)
	}
	client.SetReadDeadline(time.Time{})
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// join passes on what comes from either side until both have ended.
func join(client, node *net.TCPConn) {
	back := make(chan struct{})
	go func() { splice(client, node); close(back) }()
	splice(node, client)
	<-back
	client.Close()
	node.Close()
}

// splice copies what comes from one to the other, and its end too. If either breaks, both do.
func splice(to, from *net.TCPConn) {
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

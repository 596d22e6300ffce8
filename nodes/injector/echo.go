package injector

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Echo asks how small requests and answers fare on a TCP connection to a peer: what TCP alone makes of the link. The first
// begins with that; each tells what was seen since the last, and whoever asks no more ends it.
type Echo struct {
	Peer netip.Addr `json:"peer"`
}

// Echoes is what was seen, in the order of the answers.
type Echoes struct {
	Took []time.Duration `json:"took_ns,omitempty"` // from the request to its answer
	Lost int             `json:"lost,omitempty"`    // exchanges whose connection failed, or did not open
}

const (
	echoBytes = 16
	echoConns = 4 // to a peer at a time, so that one that waits for TCP to send again keeps no other from being measured
	// echoPause is between an answer and the next request of a connection: longer than TCP delays acknowledgements, so
	// that each exchange finds the connection idle.
	echoPause  = 100 * time.Millisecond
	echoRetry  = time.Second      // after a connection that failed
	echoDial   = 10 * time.Second // for a connection to open
	echoGiveUp = time.Minute      // for an answer
	echoLease  = 10 * time.Second // after the last that asked
	echoKept   = 2000             // answers that nobody has asked for yet
)

// echoes makes exchanges with peers, for as long as somebody asks for what became of them.
type echoes struct {
	port uint16

	mu     sync.Mutex
	peers  map[netip.Addr]*echoPeer
	closed bool
	work   sync.WaitGroup
}

type echoPeer struct {
	seen  Echoes
	lease *time.Timer
	end   context.CancelFunc
}

// collect is what was seen of a peer since the last call.
func (e *echoes) collect(ask Echo) (Echoes, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return Echoes{}, net.ErrClosed
	}
	if p := e.peers[ask.Peer]; p != nil {
		p.lease.Reset(echoLease)
		seen := p.seen
		p.seen = Echoes{}
		return seen, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &echoPeer{end: cancel, lease: time.AfterFunc(echoLease, func() { e.forget(ask.Peer) })}
	if e.peers == nil {
		e.peers = map[netip.Addr]*echoPeer{}
	}
	e.peers[ask.Peer] = p
	for range echoConns {
		e.work.Go(func() { e.exchange(ctx, p, netip.AddrPortFrom(ask.Peer, e.port)) })
	}
	return Echoes{}, nil
}

func (e *echoes) forget(peer netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[peer]; p != nil {
		p.lease.Stop()
		p.end()
		delete(e.peers, peer)
	}
}

func (e *echoes) close() {
	e.mu.Lock()
	e.closed = true
	for _, p := range e.peers {
		p.lease.Stop()
		p.end()
	}
	e.mu.Unlock()
	e.work.Wait()
}

// exchange keeps one connection to a peer busy until ctx ends.
func (e *echoes) exchange(ctx context.Context, p *echoPeer, to netip.AddrPort) {
	for ctx.Err() == nil {
		err := e.connection(ctx, p, to)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.note(func() { p.seen.Lost++ })
		pause(ctx, echoRetry)
	}
}

// connection makes exchanges until one fails.
func (e *echoes) connection(ctx context.Context, p *echoPeer, to netip.AddrPort) error {
	dialer := net.Dialer{Timeout: echoDial}
	conn, err := dialer.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	defer conn.Close() // whatever becomes of it, all is known
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var frame [echoBytes]byte
	for number := uint64(0); ctx.Err() == nil; number++ {
		pause(ctx, echoPause)
		copy(frame[:], strconv.FormatUint(number, 10))
		sent := time.Now()
		if err := conn.SetDeadline(sent.Add(echoGiveUp)); err != nil {
			return err
		}
		if _, err := conn.Write(frame[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, frame[:]); err != nil {
			return err
		}
		took := time.Since(sent)
		e.note(func() {
			if len(p.seen.Took) < echoKept {
				p.seen.Took = append(p.seen.Took, took)
			}
		})
	}
	return nil
}

func (e *echoes) note(what func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	what()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// answer sends back what comes, until the peer closes: of a probe that is nothing.
func answer(conn net.Conn) {
	_, _ = io.Copy(conn, conn) // how it ends is the peer's business
	conn.Close()
}

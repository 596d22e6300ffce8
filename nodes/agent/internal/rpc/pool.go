package rpc

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/hashicorp/yamux"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Dial opens a connection on which the peer expects calls.
type Dial func(ctx context.Context, addr string) (net.Conn, error)

// Pool keeps one session to each peer. Its methods may be called by many goroutines.
type Pool struct {
	dial   Dial
	limits Limits
	log    *slog.Logger

	mu     sync.Mutex
	peers  map[string]*peer
	closed bool
}

type peer struct {
	dialing chan struct{} // holds a token while somebody dials
	mu      sync.Mutex
	session *session
}

// NewPool makes an empty pool.
func NewPool(dial Dial, limits Limits, log *slog.Logger) *Pool {
	return &Pool{dial: dial, limits: limits, log: log, peers: map[string]*peer{}}
}

// Call makes one call. Its error is a *nodes.Error: one that the peer answered, or one
// of the connection. Hops of a Response count also beside an error.
func (p *Pool) Call(ctx context.Context, addr string, request Request) (*Response, error) {
	s, err := p.session(ctx, addr)
	if err != nil {
		return nil, err
	}
	response, err := s.call(ctx, request)
	if err != nil {
		return nil, err
	}
	if response.Code != "" {
		return response, &nodes.Error{Code: response.Code, Text: response.Text}
	}
	return response, nil
}

func (p *Pool) session(ctx context.Context, addr string) (*session, error) {
	peer, err := p.peer(addr)
	if err != nil {
		return nil, err
	}
	if s := peer.alive(); s != nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.limits.Dial)
	defer cancel()
	select {
	case peer.dialing <- struct{}{}:
		defer func() { <-peer.dialing }()
	case <-ctx.Done():
		return nil, nodes.Errorf(history.Unreachable, "connect to %s: %v", addr, ctx.Err())
	}
	if s := peer.alive(); s != nil {
		return s, nil
	}
	conn, err := p.dial(ctx, addr)
	if err != nil {
		return nil, nodes.Errorf(history.Unreachable, "connect to %s: %v", addr, err)
	}
	mux, err := yamux.Client(conn, sessionConfig(p.log, p.limits))
	if err != nil {
		closeQuietly(conn)
		return nil, nodes.Errorf(history.Unreachable, "connect to %s: %v", addr, err)
	}
	s := &session{mux: mux}
	if !p.keep(peer, s) {
		closeQuietly(mux)
		return nil, nodes.Errorf(history.Unreachable, "the agent is stopping")
	}
	return s, nil
}

func (p *Pool) peer(addr string) (*peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nodes.Errorf(history.Unreachable, "the agent is stopping")
	}
	if p.peers[addr] == nil {
		p.peers[addr] = &peer{dialing: make(chan struct{}, 1)}
	}
	return p.peers[addr], nil
}

func (p *Pool) keep(peer *peer, s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	peer.mu.Lock()
	defer peer.mu.Unlock()
	peer.session = s
	return true
}

func (p *peer) alive() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil || p.session.mux.IsClosed() {
		return nil
	}
	return p.session
}

// Close ends every session; calls under way fail.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	peers := p.peers
	p.peers = nil
	p.mu.Unlock()
	for _, peer := range peers {
		if s := peer.alive(); s != nil {
			closeQuietly(s.mux)
		}
	}
}

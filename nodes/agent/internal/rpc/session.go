package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Limits are the times after which a silent peer is given up. TCP alone would wait for minutes; a call
// that is stuck behind a dropped link ends with its session.
type Limits struct {
	// Dial bounds an attempt to connect. A lost SYN is sent again after a second by
	// the kernel, so a longer wait would only find out later that a link has healed.
	Dial time.Duration
	// KeepAlive is how often the peer is asked whether it is there, Answer how long it may take to answer.
	KeepAlive, Answer time.Duration
}

// LAN is for peers in the same datacenter, WAN for those in others. Packets get lost between
// datacenters, and TCP takes seconds to repair that: at a loss of 30 % and a round trip of 300 ms
// one answer in 60 takes longer than 7 s, and a session that is given up takes every call on it along.
var (
	LAN = Limits{Dial: 1500 * time.Millisecond, KeepAlive: time.Second, Answer: 2 * time.Second}
	WAN = Limits{Dial: 2 * time.Second, KeepAlive: 5 * time.Second, Answer: 10 * time.Second}
)

// maxIdle bounds the streams that a session keeps open for further calls.
const maxIdle = 256

func sessionConfig(log *slog.Logger, limits Limits) *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval = limits.KeepAlive
	c.ConnectionWriteTimeout = limits.Answer
	c.StreamOpenTimeout = 0 // keepalives judge the peer; a busy one is not a dead one
	c.StreamCloseTimeout = 10 * time.Second
	c.AcceptBacklog = 4096
	c.LogOutput = nil
	c.Logger = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return c
}

// session is one connection to a peer.
type session struct {
	mux *yamux.Session

	mu   sync.Mutex
	idle []net.Conn
}

func (s *session) stream() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		stream := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return stream, nil
	}
	return s.mux.Open()
}

func (s *session) release(stream net.Conn) {
	s.mu.Lock()
	if len(s.idle) < maxIdle && !s.mux.IsClosed() {
		s.idle = append(s.idle, stream)
		stream = nil
	}
	s.mu.Unlock()
	if stream != nil {
		closeQuietly(stream)
	}
}

// call makes one call. The codes of its errors: Unreachable while nothing has been
// sent; Timeout and ForwardLost after that.
func (s *session) call(ctx context.Context, request Request) (*Response, error) {
	deadline, limited := ctx.Deadline()
	if limited && !request.Boundless {
		request.Remaining = time.Until(deadline)
	}
	message, err := frame(request)
	if err != nil {
		return nil, nodes.Errorf(history.BadRequest, "%v", err)
	}
	stream, err := s.stream()
	if err != nil {
		return nil, nodes.Errorf(history.Unreachable, "open a stream: %v", err)
	}
	// When the caller gives up, a deadline in the past ends the read below.
	giveUp := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })
	response, err := exchange(stream, message)
	if !giveUp() || err != nil {
		closeQuietly(stream)
	} else {
		s.release(stream)
	}
	switch {
	case err == nil:
		return response, nil
	case ctx.Err() != nil || errors.Is(err, yamux.ErrTimeout):
		return nil, nodes.Errorf(history.Timeout, "rpc error: no answer in time: %v", err)
	}
	return nil, nodes.Errorf(history.ForwardLost, "rpc error: %v", err)
}

func exchange(stream net.Conn, message []byte) (*Response, error) {
	if _, err := stream.Write(message); err != nil {
		return nil, err
	}
	response := &Response{}
	if err := readFrame(stream, response); err != nil {
		return nil, err
	}
	return response, nil
}

// closeQuietly closes what is given up anyway: its error could change nothing.
func closeQuietly(c io.Closer) { _ = c.Close() }

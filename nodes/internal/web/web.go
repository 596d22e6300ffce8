// Package web asks nodes over HTTP, for judgement and not for comfort: a request is sent at most
// once, and every error says whether it may have been sent.
//
//	c := web.New(endpoint)
//	answer, err := c.Do(ctx, web.Request{Method: http.MethodPut, URL: &url.URL{Path: "/v1/kv/k1"}, Body: "7"})
//
// What an answer means is up to the system whose node it is.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Client asks one node. Its methods may be called by many goroutines.
type Client struct {
	host      string
	transport *http.Transport
}

// New is a client of a node. It does not connect yet.
func New(at nodes.Endpoint) *Client { return &Client{host: at.Node, transport: newTransport(at)} }

// Close gives up the connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is one request; its URL has no scheme and no host.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header // may be nil
	Body   string
}

const (
	maxIdleConnections = 256
	maxAnswer          = 16 << 20
)

// newTransport pools connections. Compression, proxies, redirects and HTTP/2 are off: the
// bytes of the answer are the node's own.
func newTransport(at nodes.Endpoint) *http.Transport {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return at.Dial(ctx) },
		MaxIdleConns:        maxIdleConnections,
		MaxIdleConnsPerHost: maxIdleConnections,
		DisableCompression:  true,
	}
}

// Answer is a whole answer of a node.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request once and reads the whole answer. The error is an *nodes.Error.
//
// When ctx ends first, the connection is closed, whether or not its node is well: HTTP/1.1 knows
// which answer is whose by their order alone (RFC 9112, section 9.3.2), so an answer that comes late would be the next
// request's. It goes with its connection instead, and the next request has another. Until its node
// notices, it goes on with what nobody waits for.
//
// It uses the RoundTripper itself, which follows no redirects. That one still sends some
// requests again by itself, if a pooled connection breaks (shouldRetryRequest in
// net/http/transport.go): those with GET and the like, which change nothing here; those
// with an Idempotency-Key, which we never set; and those of which not one byte was
// written. A PUT of which anything was written is never repeated; without GetBody, one
// with a body is not repeated at all.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	target := *r.URL
	target.Scheme, target.Host = "http", c.host
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), strings.NewReader(r.Body))
	if err != nil {
		return Answer{}, nodes.Errorf(history.BadRequest, "%v", err)
	}
	request.GetBody = nil
	if r.Header != nil {
		request.Header = r.Header.Clone()
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return Answer{}, transportError(ctx, connected.Load(), err)
	}
	// Whatever comes of the body, it ends with the operation: not every kind of body does by
	// itself. A 101 (RFC 9110, section 15.2.2) hands the connection over, for good.
	defer response.Body.Close() // it was read to its end, or is given up
	giveUp := context.AfterFunc(ctx, func() { response.Body.Close() })
	defer giveUp()
	if response.StatusCode < http.StatusOK {
		return Answer{}, nodes.Errorf(history.Unknown, "an answer with the status %s, which ends nothing", response.Status)
	}
	read, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, transportError(ctx, true, err)
	}
	if len(read) > maxAnswer {
		return Answer{}, nodes.Errorf(history.Unknown, "an answer of more than %d bytes", maxAnswer)
	}
	return Answer{response.StatusCode, response.Header, read}, nil
}

// transportError tells why there was no answer. Before there is a connection nothing can
// have been sent; from then on nobody knows.
func transportError(ctx context.Context, connected bool, err error) *nodes.Error {
	var timeout net.Error
	switch {
	case !connected && errors.Is(err, syscall.ECONNREFUSED):
		return nodes.Errorf(history.Refused, "%v", err)
	case !connected:
		return nodes.Errorf(history.Unreachable, "%v", err)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return nodes.Errorf(history.Timeout, "%v", err)
	}
	return nodes.Errorf(history.ConnectionLost, "%v", err)
}

// Excerpt is enough of a text to recognize it.
func Excerpt(b []byte) string {
	const most = 200
	if len(b) > most {
		return fmt.Sprintf("%q…", b[:most])
	}
	return fmt.Sprintf("%q", b)
}

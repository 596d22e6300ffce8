package consul

import (
	"context"
	"errors"
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

// answer is a whole answer of a node.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request once and reads the whole answer. The error is an *nodes.Error.
//
// It uses the RoundTripper itself, which follows no redirects. That one still sends some
// requests again by itself, if a pooled connection breaks (shouldRetryRequest in
// net/http/transport.go): those with GET and the like, which change nothing here; those
// with an Idempotency-Key, which we never set; and those of which not one byte was
// written. A PUT of which anything was written is never repeated; without GetBody, one
// with a body is not repeated at all.
func (c *client) do(ctx context.Context, method string, target *url.URL, body string) (answer, error) {
	target.Scheme, target.Host = "http", c.host
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return answer{}, nodes.Errorf(history.BadRequest, "%v", err)
	}
	request.GetBody = nil
	if c.options.Hops {
		request.Header.Set(nodes.HeaderWantHops, "1")
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{}, transportError(ctx, connected.Load(), err)
	}
	// Whatever comes of the body, it ends with the operation: not every kind of body does by
	// itself. A 101 (RFC 9110, section 15.2.2) hands the connection over, for good.
	defer response.Body.Close() // it was read to its end, or is given up
	giveUp := context.AfterFunc(ctx, func() { response.Body.Close() })
	defer giveUp()
	if response.StatusCode < http.StatusOK {
		return answer{}, nodes.Errorf(history.Unknown, "an answer with the status %s, which ends nothing", response.Status)
	}
	read, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, transportError(ctx, true, err)
	}
	if len(read) > maxAnswer {
		return answer{}, nodes.Errorf(history.Unknown, "an answer of more than %d bytes", maxAnswer)
	}
	return answer{response.StatusCode, response.Header, read}, nil
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

package pods

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"faultline/nodes/injector"
)

// control is the way to a pod's injector: one stream, opened again as soon as it breaks, since a
// pod without one takes its harness for dead.
type control struct {
	open func(context.Context) (io.ReadWriteCloser, error)
	log  *slog.Logger

	turn    chan struct{} // holds one value while somebody uses what follows
	current *injector.Client
	closed  bool

	last atomic.Pointer[injector.State] // that was asked for
}

func newControl(log *slog.Logger, open func(context.Context) (io.ReadWriteCloser, error)) *control {
	return &control{open: open, log: log, turn: make(chan struct{}, 1)}
}

const (
	openLimit   = 20 * time.Second
	reopenLimit = 10 * time.Second // after which a pod without a stream is gone
	reopenPause = 200 * time.Millisecond
)

var errClosed = errors.New("the cluster is closed")

// do sends a request. If the stream turns out to be broken it is opened once more:
// every request may be repeated.
func (c *control) do(ctx context.Context, limit time.Duration, r injector.Request) (injector.Reply, error) {
	if r.Apply != nil {
		c.last.Store(r.Apply)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	client, err := c.client(ctx)
	if err != nil {
		return injector.Reply{}, err
	}
	reply, err := client.Do(ctx, r)
	if !errors.Is(err, injector.ErrStream) {
		return reply, err
	}
	client, again := c.client(ctx)
	if again != nil {
		return injector.Reply{}, errors.Join(err, again)
	}
	return client.Do(ctx, r)
}

// client is the stream that stands, or a new one. What an injector does to the packets that
// pass through it ends with it, so a new one is told at once what was asked of the old.
func (c *control) client(ctx context.Context) (*injector.Client, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the control stream: %w", context.Cause(ctx))
	}
	if c.closed {
		return nil, errClosed
	}
	if c.current != nil && c.current.Alive() {
		return c.current, nil
	}
	if c.current != nil {
		_ = c.current.Close() // one that only garbles what it carries would stay
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("no answer within %v", openLimit))
	defer cancel()
	stream, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	client := injector.NewClient(stream)
	first := injector.Request{Heard: &injector.Heard{}} // is it up?
	if last := c.last.Load(); last != nil && c.current != nil {
		first = injector.Request{Apply: last}
	}
	if _, err := client.Do(ctx, first); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the injector: %w", err), client.Close())
	}
	if c.current != nil {
		c.log.Warn("the control stream of a pod broke, and was opened again")
	}
	c.current = client
	go c.reopen(client)
	return client, nil
}

// reopen waits for the end of a stream, and then for another to stand.
func (c *control) reopen(client *injector.Client) {
	<-client.Ended()
	ctx, cancel := context.WithTimeout(context.Background(), reopenLimit)
	defer cancel()
	for {
		if _, err := c.client(ctx); err == nil || errors.Is(err, errClosed) || ctx.Err() != nil {
			return
		}
		time.Sleep(reopenPause)
	}
}

// hangUp closes the stream, for good or until it is opened again.
func (c *control) hangUp(forGood bool) error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = c.closed || forGood
	if c.current == nil {
		return nil
	}
	return c.current.Close()
}

// Complaints keeps the beginning of what a command says on standard error: a command that
// fails says why, and no more.
type Complaints struct {
	mu   sync.Mutex
	said bytes.Buffer
}

const complaintsKept = 2048

func (c *Complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said.Write(p[:min(len(p), complaintsKept-c.said.Len())])
	return len(p), nil
}

func (c *Complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.TrimSpace(c.said.Bytes()))
}

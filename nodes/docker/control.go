package docker

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

	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes/injector"
)

// control is the way to a pod's injector: one exec stream, opened again when it broke.
type control struct {
	engine *engine
	log    *slog.Logger
	holder string // container

	turn    chan struct{} // holds one value while somebody uses what follows
	current *injector.Client
	closed  bool

	last atomic.Pointer[injector.State] // that was asked for
}

func newControl(e *engine, log *slog.Logger, holder string) *control {
	return &control{engine: e, log: log, holder: holder, turn: make(chan struct{}, 1)}
}

const openLimit = 20 * time.Second

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
		c.log.Warn("the control stream of a pod broke; opening it again", "holder", c.holder)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("no answer within %v", openLimit))
	defer cancel()
	stream, err := c.engine.execStream(ctx, c.holder, []string{injectorPath, "serve"})
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
	c.current = client
	return client, nil
}

func (c *control) close() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = true
	if c.current == nil {
		return nil
	}
	return c.current.Close()
}

// execStream starts a command in a container, and is its standard input and output.
func (e *engine) execStream(ctx context.Context, container string, command []string) (io.ReadWriteCloser, error) {
	exec, err := call(ctx, e, e.limits.call, "preparing the control stream", func(ctx context.Context) (*dc.Exec, error) {
		return e.client.CreateExec(dc.CreateExecOptions{
			Container:    container,
			Cmd:          command,
			AttachStdin:  true,
			AttachStdout: true,
			AttachStderr: true,
			Context:      ctx,
		})
	})
	if err != nil {
		return nil, err
	}
	s := &stream{}
	var inRead *io.PipeReader
	var outWrite *io.PipeWriter
	inRead, s.in = io.Pipe()
	s.out, outWrite = io.Pipe()
	s.waiter, err = call(ctx, e, e.limits.call, "opening the control stream", func(ctx context.Context) (dc.CloseWaiter, error) {
		return e.client.StartExecNonBlocking(exec.ID, dc.StartExecOptions{
			InputStream:  inRead,
			OutputStream: outWrite,
			ErrorStream:  &s.complaints,
			Context:      ctx,
		})
	})
	if err != nil {
		return nil, errors.Join(err, s.in.Close(), s.out.Close()) // should it open yet, it ends at once
	}
	go func() {
		err := s.waiter.Wait()
		if err == nil {
			err = io.EOF
		}
		if said := s.complaints.String(); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		outWrite.CloseWithError(err)
		inRead.CloseWithError(err)
	}()
	return s, nil
}

// stream is a running exec.
type stream struct {
	in         *io.PipeWriter
	out        *io.PipeReader
	waiter     dc.CloseWaiter
	complaints complaints
	once       sync.Once
}

func (s *stream) Read(p []byte) (int, error)  { return s.out.Read(p) }
func (s *stream) Write(p []byte) (int, error) { return s.in.Write(p) }

// Close cuts the connection; the engine then closes the command's standard input.
func (s *stream) Close() error {
	var err error
	s.once.Do(func() {
		err = errors.Join(s.in.Close(), s.out.Close(), s.waiter.Close())
	})
	return err
}

// complaints keeps the beginning of what a command says on standard error: a command that
// fails says why, and no more.
type complaints struct {
	mu   sync.Mutex
	said bytes.Buffer
}

const complaintsKept = 2048

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said.Write(p[:min(len(p), complaintsKept-c.said.Len())])
	return len(p), nil
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.TrimSpace(c.said.Bytes()))
}

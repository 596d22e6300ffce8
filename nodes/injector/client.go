package injector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// Client sends commands to the serve of one pod. Its methods may be called by many
// goroutines. Replies may come in any order, but Apply commands are carried out in the
// order in which they were sent.
type Client struct {
	stream io.ReadWriteCloser
	lines  chan []byte   // requests to write, in order
	ended  chan struct{} // closed when no reply will come any more

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]chan Reply
	err     error // why it ended
}

// linesQueued is how many requests may wait for a stream that takes none.
const linesQueued = 16

// ErrStream is in the chain of errors that say that the stream to the pod is broken, as
// opposed to what the pod itself answered.
var ErrStream = errors.New("control stream broken")

// NewClient speaks over the standard input (Write) and output (Read) of a serve.
func NewClient(stream io.ReadWriteCloser) *Client {
	c := &Client{
		stream:  stream,
		lines:   make(chan []byte, linesQueued),
		ended:   make(chan struct{}),
		waiting: map[uint64]chan Reply{},
	}
	go func() { c.end(c.deliver()) }()
	go c.write()
	return c
}

// Do sends a request, whose ID it sets, and waits for the reply. What the injector
// failed to do is an error.
func (c *Client) Do(ctx context.Context, r Request) (Reply, error) {
	answer := make(chan Reply, 1)
	r.ID = c.expect(answer)
	defer c.forget(r.ID)
	line, err := json.Marshal(r)
	if err != nil {
		return Reply{}, err
	}
	select {
	case c.lines <- append(line, '\n'):
	case <-c.ended:
		return Reply{}, c.cause()
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("sending to the injector: %w", context.Cause(ctx))
	}
	select {
	case reply := <-answer:
		if reply.Error != "" {
			return reply, errors.New(reply.Error)
		}
		return reply, nil
	case <-c.ended:
		return Reply{}, c.cause()
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("waiting for the injector: %w", context.Cause(ctx))
	}
}

// Alive reports whether the stream still stands, as far as is known.
func (c *Client) Alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Ended is closed when the stream stands no more, as far as is known.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Close ends the stream, and with it the serve. It may be called again.
func (c *Client) Close() error {
	c.end(net.ErrClosed)
	err := c.stream.Close()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func (c *Client) expect(answer chan Reply) (id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	c.waiting[c.lastID] = answer
	return c.lastID
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *Client) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end tells everybody who waits why no reply will come. The first reason counts.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("%w: %w", ErrStream, err)
		close(c.ended)
	}
}

func (c *Client) write() {
	for {
		select {
		case line := <-c.lines:
			if _, err := c.stream.Write(line); err != nil {
				c.end(err)
				return
			}
		case <-c.ended:
			return
		}
	}
}

// deliver hands out replies until the stream ends.
func (c *Client) deliver() error {
	lines := bufio.NewScanner(c.stream)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var reply Reply
		if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
			return fmt.Errorf("%q is not a reply: %w", lines.Bytes(), err)
		}
		c.mu.Lock()
		answer := c.waiting[reply.ID]
		delete(c.waiting, reply.ID)
		c.mu.Unlock()
		if answer != nil { // else nobody waits any more
			answer <- reply
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

package declared

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Redis is what is told of a system that speaks Redis's protocol.
type Redis struct {
	// Fail are errors after which nothing was done. They are words such as READONLY, with which the
	// error begins.
	Fail []string `yaml:"fail,omitempty" want:"first words of errors after which nothing was done, such as LOADING"`
}

// redisFacts: compare-and-set compares values, as nothing there has an index.
func redisFacts(_ File, into *nodes.Facts) {
	into.Ops = []history.Op{history.OpRead, history.OpWrite, history.OpCAS}
	into.Modes = []nodes.Mode{{Name: history.ModeDefault, Doc: "GET, by the node that is asked"}}
}

func openRedis(s *System, at nodes.Endpoint) operations {
	c := &redisConn{at: at}
	if s.file.Redis != nil {
		c.fail = s.file.Redis.Fail
	}
	return c
}

// redisConn asks a node by GET, SET and EVAL. A connection has one request at a time, and is
// given up with the first that fails: an answer that comes late would be taken for the next one's.
type redisConn struct {
	at   nodes.Endpoint
	fail []string

	mu     sync.Mutex
	idle   []*respConn
	closed bool
}

// compareAndSet is one command, so nothing comes between its halves.
const compareAndSet = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0`

func (c *redisConn) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	command, err := redisCommand(op)
	if err != nil {
		return nodes.Answer{}, err
	}
	r, err := c.ask(ctx, command)
	if err != nil {
		return nodes.Answer{}, err
	}
	return c.answer(op, r)
}

func redisCommand(op nodes.Op) ([]string, error) {
	switch {
	case op.F == history.OpRead && op.Mode == history.ModeDefault:
		return []string{"GET", op.Key}, nil
	case op.F == history.OpWrite:
		return []string{"SET", op.Key, op.Value}, nil
	case op.F == history.OpCAS && op.Old == "":
		return []string{"SET", op.Key, op.Value, "NX"}, nil
	case op.F == history.OpCAS:
		return []string{"EVAL", compareAndSet, "1", op.Key, op.Old, op.Value}, nil
	}
	return nil, nodes.Errorf(history.BadRequest, "clients of Redis have no %s of mode %q", op.F, op.Mode)
}

// answer is what a reply to an operation means.
func (c *redisConn) answer(op nodes.Op, r reply) (nodes.Answer, error) {
	written := nodes.Answer{Found: true, Value: op.Value}
	switch {
	case r.kind == respError:
		for _, word := range c.fail {
			if first, _, _ := strings.Cut(r.text, " "); first == word {
				return nodes.Answer{}, nodes.Errorf(history.Rejected, "%q", r.text)
			}
		}
	case op.F == history.OpRead && r.kind == respBulk:
		return nodes.Answer{Found: true, Value: r.text}, nil
	case op.F == history.OpRead && r.kind == respNil:
		return nodes.Answer{}, nil
	case r.kind == respSimple && r.text == "OK" && (op.F == history.OpWrite || op.F == history.OpCAS && op.Old == ""),
		op.F == history.OpCAS && op.Old != "" && r.kind == respInteger && r.text == "1":
		return written, nil
	case op.F == history.OpCAS && (op.Old == "" && r.kind == respNil || op.Old != "" && r.kind == respInteger && r.text == "0"):
		return nodes.Answer{}, nodes.Errorf(history.CASMismatch, "it holds another value")
	}
	return nodes.Answer{}, nodes.Errorf(history.Unknown, "a %s was answered with %v", op.F, r)
}

// ask sends a command once, and reads its reply.
func (c *redisConn) ask(ctx context.Context, command []string) (reply, error) {
	conn, err := c.take(ctx)
	if err != nil {
		return reply{}, err
	}
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) }) // fails only if it is closed
	r, err := conn.ask(command)
	if !stop() && err == nil {
		conn.Close() // its deadline may come yet
		return r, nil
	}
	if err == nil {
		c.give(conn)
		return r, nil
	}
	conn.Close() // it has failed already
	var broken *protocolError
	switch {
	case errors.As(err, &broken):
		return reply{}, nodes.Errorf(history.Unknown, "%v", err)
	case ctx.Err() != nil:
		return reply{}, nodes.Errorf(history.Timeout, "%v", err)
	}
	return reply{}, nodes.Errorf(history.ConnectionLost, "%v", err)
}

// take is a connection that nobody uses.
func (c *redisConn) take(ctx context.Context) (*respConn, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	conn, err := c.at.Dial(ctx)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, nodes.Errorf(history.Refused, "%v", err)
	case err != nil:
		return nil, nodes.Errorf(history.Unreachable, "%v", err)
	}
	return newRespConn(conn), nil
}

func (c *redisConn) give(conn *respConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close() // nobody waits for it
		return
	}
	c.idle = append(c.idle, conn)
}

func (c *redisConn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.idle {
		conn.Close() // nobody waits for it
	}
	c.idle = nil
}

package faultline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"faultline/nodes"
	"faultline/nodes/consul"
	"faultline/workloads/history"
)

// memorySystem is its nodes.System.
type memorySystem struct{ m *memory }

func (memorySystem) Name() string { return "memory" }
func (memorySystem) Image(context.Context) (nodes.Image, error) {
	return nodes.Image{Program: os.Args[0]}, nil // any program will do: it is looked at, and not started
}
func (s memorySystem) Launch(ctx context.Context, _ nodes.Start) (nodes.Launch, error) {
	_, err := s.m.trap.call(ctx, "Launch")
	return nodes.Launch{}, err
}
func (memorySystem) Facts() nodes.Facts {
	facts := consul.Facts() // it is as able as the reference agent
	facts.Port = 1
	return facts
}
func (s memorySystem) Open(at nodes.Endpoint) nodes.Conn { return memoryClient{m: s.m, at: at} }

type memoryClient struct {
	nodes.Conn // of what no run here asks for
	m          *memory
	at         nodes.Endpoint
}

func (c memoryClient) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, c, op)
}

// oneWay is how long a request, or its answer, takes.
const oneWay = time.Millisecond

// ask does something at the node, if it can be reached and is not paused.
func (c memoryClient) ask(ctx context.Context, what string, do func() error) error {
	return c.m.trap.operation(ctx, what, func() error {
		conn, err := c.at.Dial(ctx)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return nodes.Errorf(history.Refused, "%v", err)
		case err != nil:
			return nodes.Errorf(history.Unreachable, "%v", err)
		}
		conn.Close() // carries nothing
		for sleep(ctx, oneWay); ctx.Err() == nil; sleep(ctx, 50*time.Millisecond) {
			if answered, err := c.m.at(c.at.Node, do); answered {
				sleep(ctx, oneWay)
				return err
			}
		}
		return nodes.Errorf(history.Timeout, "%v", context.Cause(ctx))
	})
}

// at does something at a node, unless it is paused.
func (m *memory) at(name string, do func() error) (answered bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.nodes[name].alive:
		return true, nodes.Errorf(history.ConnectionLost, "%s ended", name)
	case !m.serves(name):
		return false, nil
	}
	return true, do()
}

// led is ask of what only a leader can do.
func (c memoryClient) led(ctx context.Context, what string, do func() error) error {
	return c.ask(ctx, what, func() error {
		if c.m.mute.Load() == c.at.Node {
			return nodes.Errorf(history.NotReady, "%s is mute", c.at.Node)
		}
		if c.m.follow(c.at.Node) == "" {
			return nodes.Errorf(history.NoLeader, "%s knows no leader", c.at.Node)
		}
		return do()
	})
}

func (c memoryClient) set(key, value string) nodes.Answer {
	c.m.index++
	c.m.items[key] = nodes.Answer{Value: value, Found: true, Index: c.m.index}
	return c.m.items[key]
}

func (c memoryClient) Get(ctx context.Context, key string, _ history.Mode) (item nodes.Answer, err error) {
	err = c.led(ctx, "Get", func() error {
		item = c.m.items[key]
		return nil
	})
	if err != nil {
		return item, err // nobody looks at what comes beside it
	}
	return c.m.trap.answer(item), nil
}

func (c memoryClient) Put(ctx context.Context, key, value string) (item nodes.Answer, err error) {
	err = c.led(ctx, "Put", func() error {
		item = c.set(key, value)
		return nil
	})
	return item, err
}

func (c memoryClient) CAS(ctx context.Context, key, value string, index uint64) (item nodes.Answer, err error) {
	err = c.led(ctx, "CAS", func() error {
		if item = c.m.items[key]; item.Index != index {
			item.HasCurrent = true
			return nodes.Errorf(history.CASMismatch, "index is %d", item.Index)
		}
		item = c.set(key, value)
		return nil
	})
	return item, err
}

func (c memoryClient) Observe(ctx context.Context) (seen history.Observation, err error) {
	if how := c.m.trap.spring("Observe of " + c.at.Node); how != "" {
		return seen, nodes.Errorf(history.Timeout, "the trap")
	}
	err = c.ask(ctx, "Observe", func() error {
		leader := c.m.follow(c.at.Node)
		n := c.m.nodes[c.at.Node]
		seen = history.Observation{BootID: fmt.Sprint(n.Name, "/", n.boot), State: "Follower", Leader: leader,
			Term: n.term, Commit: n.index, Applied: n.index, Last: n.index}
		if leader == n.Name {
			seen.State = "Leader"
		}
		return nil
	})
	return seen, err
}

func (c memoryClient) Transfer(ctx context.Context, to string) error {
	return c.ask(ctx, "Transfer", func() error {
		if c.m.leads() != c.at.Node {
			return nodes.Errorf(history.NotLeader, "%s leads", c.m.leads())
		}
		for _, name := range c.m.names {
			if name != c.at.Node && (to == "" || to == name) && c.m.quorum(name) {
				c.m.leader, c.m.term = name, c.m.term+1
				return nil
			}
		}
		return nodes.Errorf(history.Timeout, "nobody to hand over to")
	})
}

func (c memoryClient) Leave(ctx context.Context) error {
	return c.ask(ctx, "Leave", func() error {
		delete(c.m.peers, c.at.Node)
		c.m.end(c.at.Node, "")
		return nil
	})
}

func (c memoryClient) Identity(ctx context.Context) (id string, err error) {
	err = c.ask(ctx, "Identity", func() error { return nil })
	return c.at.Node, err // no disk here is ever lost
}

func (c memoryClient) Peers(ctx context.Context) (peers []nodes.Peer, err error) {
	err = c.ask(ctx, "Peers", func() error {
		for _, name := range c.m.names {
			if c.m.peers[name] {
				peers = append(peers, nodes.Peer{ID: name, Node: name, Voter: true, Leader: name == c.m.leads()})
			}
		}
		return nil
	})
	return peers, err
}

func (c memoryClient) RemovePeer(ctx context.Context, id string) error {
	return c.ask(ctx, "RemovePeer", func() error {
		delete(c.m.peers, id)
		return nil
	})
}

func (c memoryClient) Close() {}

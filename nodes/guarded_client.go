package nodes

import (
	"context"
	"errors"
	"time"

	"faultline/workloads/history"
)

// GuardedClient is a client that does not panic: see Guard. Of a panic broke is told as well,
// as by Guarded. What is asked of the node itself, and not of the store, also ends in time, as by
// Bounded; for the others that is their caller's business. It is an Operator if c is.
func GuardedClient(c Client, node string, broke func(*Panicked)) Client {
	g := guardedClient{c, "the client of " + node, broke}
	if op, ok := c.(Operator); ok {
		return guardedOperator{g, op}
	}
	return g
}

type guardedClient struct {
	Client
	name  string
	broke func(*Panicked)
}

type guardedOperator struct {
	guardedClient
	op Operator
}

func (g guardedClient) tell(err error) error {
	if p := new(Panicked); errors.As(err, &p) {
		g.broke(p)
	}
	return err
}

// guard is a call that its caller bounds.
func guard[T any](g guardedClient, what string, f func() (T, error)) (value T, err error) {
	err = g.tell(Guard(what+" of "+g.name, func() (err error) {
		value, err = f()
		return err
	}))
	return value, err
}

// bound is a call that is bounded here.
func bound[T any](ctx context.Context, g guardedClient, what string, f func(context.Context) (T, error)) (T, error) {
	value, err := Bounded(ctx, clientGrace, what+" of "+g.name, f, nil)
	return value, g.tell(err)
}

const clientGrace = time.Second

func (g guardedClient) Get(ctx context.Context, key string, mode history.Mode) (Item, error) {
	return guard(g, "Get", func() (Item, error) { return g.Client.Get(ctx, key, mode) })
}

func (g guardedClient) Put(ctx context.Context, key, value string) (Item, error) {
	return guard(g, "Put", func() (Item, error) { return g.Client.Put(ctx, key, value) })
}

func (g guardedClient) CAS(ctx context.Context, key, value string, index uint64) (Item, error) {
	return guard(g, "CAS", func() (Item, error) { return g.Client.CAS(ctx, key, value, index) })
}

func (g guardedClient) CreateSession(ctx context.Context, ttl, lockDelay time.Duration) (string, error) {
	return guard(g, "CreateSession", func() (string, error) { return g.Client.CreateSession(ctx, ttl, lockDelay) })
}

func (g guardedClient) RenewSession(ctx context.Context, id string) error {
	_, err := guard(g, "RenewSession", func() (none, error) { return none{}, g.Client.RenewSession(ctx, id) })
	return err
}

func (g guardedClient) DestroySession(ctx context.Context, id string) error {
	_, err := guard(g, "DestroySession", func() (none, error) { return none{}, g.Client.DestroySession(ctx, id) })
	return err
}

func (g guardedClient) Acquire(ctx context.Context, key, value, session string) (Item, error) {
	return guard(g, "Acquire", func() (Item, error) { return g.Client.Acquire(ctx, key, value, session) })
}

func (g guardedClient) Release(ctx context.Context, key, value, session string) (Item, error) {
	return guard(g, "Release", func() (Item, error) { return g.Client.Release(ctx, key, value, session) })
}

func (g guardedClient) Observe(ctx context.Context) (history.Observation, error) {
	return bound(ctx, g, "Observe", g.Client.Observe)
}

func (g guardedClient) Leave(ctx context.Context) error {
	_, err := bound(ctx, g, "Leave", func(ctx context.Context) (none, error) { return none{}, g.Client.Leave(ctx) })
	return err
}

func (g guardedClient) Transfer(ctx context.Context, to string) error {
	_, err := bound(ctx, g, "Transfer", func(ctx context.Context) (none, error) { return none{}, g.Client.Transfer(ctx, to) })
	return err
}

func (g guardedClient) Close() {
	_ = g.tell(Guard("Close of "+g.name, func() error { // nothing is left to do with it
		g.Client.Close()
		return nil
	}))
}

func (g guardedOperator) Identity(ctx context.Context) (string, error) {
	return bound(ctx, g.guardedClient, "Identity", g.op.Identity)
}

func (g guardedOperator) Peers(ctx context.Context) ([]Peer, error) {
	return bound(ctx, g.guardedClient, "Peers", g.op.Peers)
}

func (g guardedOperator) RemovePeer(ctx context.Context, id string) error {
	_, err := bound(ctx, g.guardedClient, "RemovePeer", func(ctx context.Context) (none, error) { return none{}, g.op.RemovePeer(ctx, id) })
	return err
}

// none is the value of a call that has only an error.
type none = struct{}

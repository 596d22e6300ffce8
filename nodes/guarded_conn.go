package nodes

import (
	"context"
	"errors"
	"time"

	"faultline/workloads/history"
)

// GuardedConn is a Conn that does not panic: see Guard. Of a panic broke is told as well,
// as by Guarded. What is asked of the node itself, and not of the store, also ends in time, as by
// Bounded; how long Do may take is up to its caller. What c can do beside is asked by
// [AsLeaders], [AsLeaver], [AsMembers] and [AsWANMembers].
func GuardedConn(c Conn, node string, broke func(*Panicked)) Conn {
	return guardedConn{c, "the client of " + node, broke}
}

// AsLeaders is what a Conn has of Leaders.
func AsLeaders(c Conn) (Leaders, bool) {
	return part(c, func(g guardedConn, l Leaders) Leaders { return guardedLeaders{g, l} })
}

// AsLeaver is what a Conn has of Leaver.
func AsLeaver(c Conn) (Leaver, bool) {
	return part(c, func(g guardedConn, l Leaver) Leaver { return guardedLeaver{g, l} })
}

// AsMembers is what a Conn has of Members.
func AsMembers(c Conn) (Members, bool) {
	return part(c, func(g guardedConn, m Members) Members { return guardedMembers{g, m} })
}

// AsWANMembers is what a Conn has of WANMembers.
func AsWANMembers(c Conn) (WANMembers, bool) {
	return part(c, func(g guardedConn, m WANMembers) WANMembers { return guardedWANMembers{g, m} })
}

// part is what a Conn has of T, guarded if the Conn is.
func part[T any](c Conn, guard func(guardedConn, T) T) (T, bool) {
	g, guarded := c.(guardedConn)
	if !guarded {
		t, ok := c.(T)
		return t, ok
	}
	t, ok := g.conn.(T)
	return guard(g, t), ok
}

type guardedConn struct {
	conn  Conn
	name  string
	broke func(*Panicked)
}

const connGrace = time.Second

func (g guardedConn) tell(err error) error {
	if p := new(Panicked); errors.As(err, &p) {
		g.broke(p)
	}
	return err
}

// bound is a call that is bounded here.
func bound[T any](ctx context.Context, g guardedConn, what string, f func(context.Context) (T, error)) (T, error) {
	value, err := Bounded(ctx, connGrace, what+" of "+g.name, f, nil)
	return value, g.tell(err)
}

func (g guardedConn) Do(ctx context.Context, op Op) (a Answer, err error) {
	err = g.tell(Guard(string(op.F)+" of "+g.name, func() (err error) {
		a, err = g.conn.Do(ctx, op)
		return err
	}))
	return a, err
}

func (g guardedConn) Observe(ctx context.Context) (history.Observation, error) {
	return bound(ctx, g, "Observe", g.conn.Observe)
}

func (g guardedConn) Close() {
	_ = g.tell(Guard("Close of "+g.name, func() error { // nothing is left to do with it
		g.conn.Close()
		return nil
	}))
}

type guardedLeaders struct {
	guardedConn
	leaders Leaders
}

func (g guardedLeaders) Transfer(ctx context.Context, to string) error {
	_, err := bound(ctx, g.guardedConn, "Transfer", func(ctx context.Context) (none, error) { return none{}, g.leaders.Transfer(ctx, to) })
	return err
}

type guardedMembers struct {
	guardedConn
	members Members
}

func (g guardedMembers) Identity(ctx context.Context) (string, error) {
	return bound(ctx, g.guardedConn, "Identity", g.members.Identity)
}

func (g guardedMembers) Peers(ctx context.Context) ([]Peer, error) {
	return bound(ctx, g.guardedConn, "Peers", g.members.Peers)
}

func (g guardedMembers) RemovePeer(ctx context.Context, id string) error {
	_, err := bound(ctx, g.guardedConn, "RemovePeer", func(ctx context.Context) (none, error) { return none{}, g.members.RemovePeer(ctx, id) })
	return err
}

type guardedWANMembers struct {
	guardedConn
	members WANMembers
}

func (g guardedWANMembers) WANMembers(ctx context.Context) ([]history.WANMember, error) {
	return bound(ctx, g.guardedConn, "WANMembers", g.members.WANMembers)
}

type guardedLeaver struct {
	guardedConn
	leaver Leaver
}

func (g guardedLeaver) Leave(ctx context.Context) error {
	_, err := bound(ctx, g.guardedConn, "Leave", func(ctx context.Context) (none, error) { return none{}, g.leaver.Leave(ctx) })
	return err
}

// none is the value of a call that has only an error.
type none = struct{}

package nodes

import (
	"context"

	"faultline/workloads/history"
)

// Echoer is a Cluster that can tell what TCP alone makes of its links. It is optional.
type Echoer interface {
	// Echo is how small exchanges over an established connection fare from one node's machine to another's, whatever the nodes
	// do, since it was asked last. The first call begins with them, and they end soon after the last.
	Echo(ctx context.Context, from, to string) (history.Echo, error)
}

// AsEchoer is what a Cluster has of Echoer.
func AsEchoer(c Cluster) (Echoer, bool) {
	g, isGuarded := c.(guarded)
	if !isGuarded {
		e, ok := c.(Echoer)
		return e, ok
	}
	e, ok := g.Cluster.(Echoer)
	return guardedEchoer{g, e}, ok
}

type guardedEchoer struct {
	guarded
	echoer Echoer
}

func (g guardedEchoer) Echo(ctx context.Context, from, to string) (history.Echo, error) {
	seen, err := Bounded(ctx, callGrace, "Echo of the runtime", func(ctx context.Context) (history.Echo, error) { return g.echoer.Echo(ctx, from, to) }, nil)
	return seen, g.tell(err)
}

package pods

import (
	"context"
	"fmt"

	"faultline/nodes/injector"
	"faultline/workloads/history"
)

// Echo is how small exchanges fare over TCP from the pod of one node to that of another, since it was asked last.
func (c *Group) Echo(ctx context.Context, from, to string) (history.Echo, error) {
	p, err := Find(c.byName, from)
	if err != nil {
		return history.Echo{}, err
	}
	peer, err := Find(c.byName, to)
	if err != nil {
		return history.Echo{}, err
	}
	reply, err := p.control.do(ctx, probeLimit, injector.Request{Echo: &injector.Echo{Peer: peer.addr}})
	if err != nil || reply.Echo == nil {
		return history.Echo{}, fmt.Errorf("the echo from %s to %s: %w", from, to, err)
	}
	return history.Echo{To: to, Took: reply.Echo.Took, Lost: reply.Echo.Lost}, nil
}

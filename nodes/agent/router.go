package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

// router is a server's view of the servers of other datacenters: who of them is well, as its own calls
// found. Gossip says who is a member, and is believed last of a failure: it may be mistaken, or cut
// where calls still pass.
//
// A server that could not be connected to is left alone for a while, longer each time, and one
// whose answer was lost is asked after the others. An answer, whatever it says, clears both. If
// no server is left, a call fails at once: nothing has been sent.
type router struct {
	members func() []gossip.Member
	now     func() time.Duration              // that never falls
	upTo    func(time.Duration) time.Duration // a random time below

	mu     sync.Mutex
	health map[string]health // by address, of those that failed
	first  map[string]string // by datacenter, its first leader: of the defect forwards-to-old-leader-forever
}

type health struct {
	failures int
	until    time.Duration // when it is as good as the others again
	refused  bool          // the connection failed, so until then it is not tried
}

// The pause after a failed connection, which doubles with each. The longest is also how long after a
// heal a datacenter may seem to be away.
const (
	leastBackoff = 500 * time.Millisecond
	mostBackoff  = 4 * time.Second
)

func newRouter(a *Agent, members func() []gossip.Member) *router {
	return &router{members: members, now: a.host.Monotonic, upTo: a.upTo, health: map[string]health{}, first: map[string]string{}}
}

// pick chooses a server of a datacenter at random, among the best that there are and except those
// that were tried.
func (r *router) pick(dc string, tried map[string]bool) (addr string, err error) {
	known := 0
	ranks := make([][]string, 3) // well; asked in vain; failed, as gossip says
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members() {
		if m.Tags.DC != dc {
			continue
		}
		known++
		h := r.health[m.Tags.RPC]
		waits := now < h.until
		switch {
		case m.Status == gossip.Left || tried[m.Tags.RPC] || waits && h.refused:
		case !stands(m):
			ranks[2] = append(ranks[2], m.Tags.RPC)
		case waits:
			ranks[1] = append(ranks[1], m.Tags.RPC)
		default:
			ranks[0] = append(ranks[0], m.Tags.RPC)
		}
	}
	for _, addrs := range ranks {
		if n := len(addrs); n > 0 {
			return addrs[int(r.upTo(time.Duration(n)))], nil
		}
	}
	switch {
	case known == 0:
		return "", nodes.Errorf(history.NoPath, "No path to datacenter: no server of %q has ever been heard of", dc)
	case r.alive(dc) == 0:
		return "", nodes.Errorf(history.DCDown, "Remote DC has no server currently reachable: of %d servers of %q that are known, none is taken to be alive", known, dc)
	}
	return "", nodes.Errorf(history.DCFailed, "Remote DC has no server that can be connected to: %d servers of %q are taken to be alive, and none could be", r.alive(dc), dc)
}

// stands reports whether gossip takes a member for alive, and staying.
func stands(m gossip.Member) bool { return m.Status == gossip.Alive && !m.Tags.Leaving }

// alive counts the servers of a datacenter that gossip takes for alive.
func (r *router) alive(dc string) (n int) {
	for _, m := range r.members() {
		if m.Tags.DC == dc && stands(m) {
			n++
		}
	}
	return n
}

// note learns from a call: whether it was answered, and else how it failed.
func (r *router) note(addr string, answered bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answered {
		delete(r.health, addr)
		return
	}
	h := r.health[addr]
	pause := leastBackoff << min(h.failures, 10)
	pause = min(pause, mostBackoff)
	h.failures++
	h.until = r.now() + pause/2 + r.upTo(pause/2+1)
	h.refused = nodes.CodeOf(err) == history.Unreachable
	r.health[addr] = h
}

// pinned is the defect forwards-to-old-leader-forever: where the first leader of a datacenter is that answered; empty
// if none has.
func (r *router) pinned(dc string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first[dc]
}

// pin remembers the leader of a datacenter that an answer came from, unless one is known.
func (r *router) pin(dc string, way []history.Hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members() {
		if last := way[len(way)-1]; r.first[dc] == "" && m.Tags.DC == dc && nodeOf(m) == last.Node && last.Role == history.RoleLeader {
			r.first[dc] = m.Tags.RPC
		}
	}
}

// datacenters lists those that have servers which have not left, sorted by name.
func (r *router) datacenters() (names []string) {
	for _, m := range r.members() {
		if m.Status != gossip.Left && !slices.Contains(names, m.Tags.DC) {
			names = append(names, m.Tags.DC)
		}
	}
	slices.Sort(names)
	return names
}

// defectPatience is how long servers with one of two defects wait for one of another datacenter.
const defectPatience = time.Second

// forwardToDC sends a server's call to a server of another datacenter, once. A connection that
// cannot be made is noted in o.tried, so that the next attempt goes elsewhere.
func forwardToDC[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (reply R, downstream []history.Hop, err error) {
	addr, err := a.router.pick(o.dc, o.tried)
	leader := a.router.pinned(o.dc)
	if leader != "" {
		addr, err = leader, nil
	}
	if err != nil {
		return reply, nil, err
	}
	request := rpc.Request{Final: leader != "", Method: m.name, DC: o.dc, Hold: holdAtServer, Forwards: o.forwards - 1, Body: rpc.Encode(args)}
	if a.defects[ForwardLoop] {
		request.Forwards = o.forwards
	}
	if request.Forwards < 0 {
		return reply, nil, forwardedTooOften()
	}
	asked := ctx
	if a.defects[WANRetryDoubles] || a.defects[DropsDeadline] {
		var cancel context.CancelFunc
		asked, cancel = context.WithTimeout(ctx, defectPatience)
		defer cancel()
	}
	if a.defects[DropsDeadline] {
		request.Boundless, request.Hold = true, requestTimeout
	}
	response, err := a.wanCalls.Call(asked, addr, request)
	if err != nil && response == nil && ctx.Err() != nil && nodes.CodeOf(err) == history.Unreachable {
		return reply, nil, err // given up by the caller, which says nothing of the server
	}
	a.router.note(addr, response != nil, err)
	if response == nil && nodes.CodeOf(err) == history.Unreachable {
		o.tried[addr] = true
		if _, none := a.router.pick(o.dc, o.tried); none != nil {
			err = none
		}
	}
	if a.defects[DropsDeadline] && response == nil && nodes.CodeOf(err) == history.Timeout {
		err = nodes.Errorf(history.DCFailed, "Remote DC has no server that answers: %v", err)
	}
	reply, downstream, err = decodeReply[R](response, err)
	if err == nil && a.defects[ForwardsToOldLeaderForever] && len(downstream) > 0 {
		a.router.pin(o.dc, downstream)
	}
	return reply, downstream, err
}

func forwardedTooOften() error {
	return nodes.Errorf(history.NotReady, "rpc error: forwarded too often, by agents that do not agree who is where")
}

// noServerOf reports whether an error says that a datacenter cannot be reached.
func noServerOf(err error) bool {
	code := nodes.CodeOf(err)
	return code == history.DCDown || code == history.DCFailed
}

// forwardBack is the defect forward-loop: a call from another datacenter goes back to one, which sends it here again.
func forwardBack[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (reply R, downstream []history.Hop, err error) {
	others := slices.DeleteFunc(a.router.datacenters(), func(dc string) bool { return dc == a.DC })
	if len(others) == 0 {
		return reply, nil, nodes.Errorf(history.NoLeader, "No cluster leader")
	}
	addr, err := a.router.pick(others[int(a.upTo(time.Duration(len(others))))], nil)
	if err != nil {
		return reply, nil, err
	}
	response, err := a.wanCalls.Call(ctx, addr, rpc.Request{Method: m.name, DC: a.DC, Forwards: o.forwards, Body: rpc.Encode(args)})
	return decodeReply[R](response, err)
}

package agent

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

const (
	// holdAtOrigin is how long an agent retries to find a leader for a client's request, as
	// Consul's rpc_hold_timeout.
	holdAtOrigin = 7 * time.Second
	// holdAtServer is how long a server retries for a client agent, which can fail over.
	holdAtServer = 2 * time.Second
	// holdAcross is the same for another datacenter's data, where connecting takes longer.
	holdAcross = 7 * time.Second
	// pauseBetween is the mean pause between two attempts.
	pauseBetween = 20 * time.Millisecond
)

// forwardOptions bounds the forwarding of a call.
type forwardOptions struct {
	hold  time.Duration // how long to retry until a server answers
	final bool          // the receiver answers itself, and does not forward
	dc    string        // whose servers are to answer; empty: this agent's
	// forwards is how often the call may be forwarded from here on.
	forwards int
	// across: it came from another datacenter.
	across bool
	// tried are the servers of another datacenter that could not be connected to.
	tried map[string]bool
}

// mostForwards is the longest way of a call: client agent, server, server of another datacenter, its leader.
const mostForwards = 3

// originOptions are those of a call for a client's request, for the data of this datacenter.
var originOptions = forwardOptions{hold: holdAtOrigin, forwards: mostForwards}

// meant are the options of a call for the data of a datacenter; empty: this one.
func meant(dc string) forwardOptions {
	o := originOptions
	o.dc = dc
	return o
}

// invoke makes a call and forwards it if need be: to the leader, from a client agent to
// the server that it uses, or from a server to one of another datacenter. It retries where retry.go
// allows. The hops are those of the last attempt, first this agent. A call whose caller has given
// up already is not begun.
func invoke[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (R, []history.Hop, error) {
	begun := a.host.Monotonic()
	switch o.dc {
	case a.DC:
		o.dc = ""
	case "":
	default:
		o.tried = map[string]bool{}
	}
	if ctx.Err() != nil {
		var none R
		return none, nil, nodes.Errorf(history.NotReady, "rpc error: nobody waits for it any more: %v", ctx.Err())
	}
	for {
		reply, role, downstream, err := attempt(ctx, a, m, args, o)
		spent := a.host.Monotonic() - begun
		hops := append([]history.Hop{{Node: a.Name, Role: role, MS: milliseconds(spent)}}, downstream...)
		if err == nil || o.final || !shouldRetry(m.read, o.dc != "", err, a.defects) {
			return reply, hops, err
		}
		pause := pauseBetween/2 + a.upTo(pauseBetween)
		if spent+pause >= o.hold || sleep(ctx, pause) != nil {
			return reply, hops, lastError(err, a.unconnected(o.dc))
		}
	}
}

// unconnected is what it means if time runs out while no connection could be made: the last server that was
// tried need not be the last that there is.
func (a *Agent) unconnected(dc string) history.Code {
	switch {
	case dc == "":
		return history.NoLeader
	case !a.Server:
		return history.NoServer
	case a.router.alive(dc) == 0:
		return history.DCDown
	}
	return history.DCFailed
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// attempt makes a call once.
func attempt[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (reply R, role history.Role, downstream []history.Hop, err error) {
	if !a.Server {
		reply, downstream, err = forwardToServer(ctx, a, m, args, o)
		return reply, history.RoleClient, downstream, err
	}
	s := a.server.Load()
	if s == nil { // calls come in before it knows anybody
		return reply, history.RoleFollower, nil, nodes.Errorf(history.NotReady, "rpc error: the server is starting")
	}
	if o.dc != "" {
		role = history.RoleFollower
		if _, leads := s.leading(); leads {
			role = history.RoleLeader
		}
		reply, downstream, err = forwardToDC(ctx, a, m, args, o)
		if !a.defects[WrongDCOnFailover] || !noServerOf(err) {
			return reply, role, downstream, err
		}
	}
	if m.intercept != nil && !o.final {
		changed, done := m.intercept(s, args)
		if done != nil {
			return *done, history.RoleFollower, nil, nil
		}
		args = changed
	}
	_, leads := s.leading()
	role = history.RoleFollower
	if leads {
		role = history.RoleLeader
	}
	if a.defects[ForwardLoop] && o.across && !leads {
		reply, downstream, err = forwardBack(ctx, a, m, args, o)
		return reply, role, downstream, err
	}
	if leads || m.routing(a, args) != toLeader {
		reply, err = m.serve(s, ctx, args)
		return reply, role, nil, err
	}
	if o.final {
		return reply, role, nil, notLeader()
	}
	addr := s.leaderAddr()
	if a.defects[ForwardsToOldLeader] {
		addr = s.firstLeader(addr)
	}
	if addr == "" || addr == a.rpcAddr() {
		return reply, role, nil, nodes.Errorf(history.NoLeader, "No cluster leader")
	}
	on := forwardOptions{final: true, forwards: o.forwards - 1}
	if a.defects[ForwardsToNeighbour] {
		addr, on = s.neighbour(), forwardOptions{hold: holdAtServer, forwards: o.forwards - 1}
	}
	reply, downstream, err = forward(ctx, a, m, args, addr, on)
	return reply, role, downstream, err
}

// firstLeader is where the first leader is that this server has forwarded to.
func (s *server) firstLeader(now string) string {
	if now != "" {
		s.oldLeader.CompareAndSwap(nil, &now)
	}
	if first := s.oldLeader.Load(); first != nil {
		return *first
	}
	return now
}

// neighbour is where the server is that comes after this one in the peer set.
func (s *server) neighbour() string {
	voters := s.voters()
	at := slices.IndexFunc(voters, func(v raft.Server) bool { return string(v.ID) == s.a.id })
	if len(voters) == 0 {
		return ""
	}
	return string(voters[(at+1)%len(voters)].Address)
}

// forwardToServer makes a client agent's call, to the server that it uses until that one fails.
func forwardToServer[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (reply R, downstream []history.Hop, err error) {
	index := a.serverIndex.Load()
	addr, ok := pickServer(a.gossip.Members(), index)
	if !ok {
		return reply, nil, nodes.Errorf(history.NoServer, "No known Consul servers")
	}
	on := forwardOptions{hold: holdAtServer, dc: o.dc, forwards: o.forwards - 1}
	if o.dc != "" {
		on.hold = holdAcross
	}
	reply, downstream, err = forward(ctx, a, m, args, addr, on)
	if err != nil && shouldFailover(err) {
		a.serverIndex.CompareAndSwap(index, index+1)
	}
	return reply, downstream, err
}

// pickServer chooses among the servers that are alive; if none is, among those that failed,
// for gossip may be mistaken.
func pickServer(members []gossip.Member, index uint64) (addr string, ok bool) {
	for _, status := range []gossip.Status{gossip.Alive, gossip.Failed} {
		servers := slices.DeleteFunc(slices.Clone(members), func(m gossip.Member) bool {
			return !m.Tags.Server || m.Status != status
		})
		if n := uint64(len(servers)); n > 0 {
			return servers[index%n].Tags.RPC, true
		}
	}
	return "", false
}

// forward sends a call to the server at addr. downstream are the hops behind it.
func forward[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, addr string, o forwardOptions) (reply R, downstream []history.Hop, err error) {
	if a.defects[LeaksGoroutines] {
		go func() { <-a.runCtx.Done() }()
	}
	if o.forwards < 0 {
		return reply, nil, forwardedTooOften()
	}
	response, err := a.call(ctx, addr, rpc.Request{Method: m.name, Hold: o.hold, Final: o.final, DC: o.dc, Forwards: o.forwards, Body: rpc.Encode(args)})
	return decodeReply[R](response, err)
}

// decodeReply is the outcome of a call to another agent.
func decodeReply[R any](response *rpc.Response, err error) (reply R, downstream []history.Hop, _ error) {
	if response != nil {
		downstream = response.Hops
	}
	if err != nil {
		return reply, downstream, err
	}
	if err := rpc.Decode(response.Body, &reply); err != nil {
		return reply, downstream, nodes.Errorf(history.ForwardLost, "rpc error: %v", err)
	}
	return reply, downstream, nil
}

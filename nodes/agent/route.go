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
	// pauseBetween is the mean pause between two attempts.
	pauseBetween = 20 * time.Millisecond
)

// forwardOptions bounds the forwarding of a call.
type forwardOptions struct {
	hold  time.Duration // how long to retry until a server answers
	final bool          // the receiver answers itself, and does not forward
}

// originOptions are those of a call for a client's request.
var originOptions = forwardOptions{hold: holdAtOrigin}

// invoke makes a call and forwards it if need be: to the leader, or from a client agent to
// the server that it uses. It retries where retry.go allows. The hops are those of the last
// attempt, first this agent.
func invoke[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (R, []history.Hop, error) {
	begun := a.host.Monotonic()
	for {
		reply, role, downstream, err := attempt(ctx, a, m, args, o)
		spent := a.host.Monotonic() - begun
		hops := append([]history.Hop{{Node: a.Name, Role: role, MS: milliseconds(spent)}}, downstream...)
		if err == nil || o.final || !shouldRetry(m.read, err, a.defects) {
			return reply, hops, err
		}
		pause := pauseBetween/2 + a.upTo(pauseBetween)
		if spent+pause >= o.hold || sleep(ctx, pause) != nil {
			return reply, hops, lastError(err)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// attempt makes a call once.
func attempt[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, o forwardOptions) (reply R, role history.Role, downstream []history.Hop, err error) {
	if !a.Server {
		reply, downstream, err = forwardToServer(ctx, a, m, args)
		return reply, history.RoleClient, downstream, err
	}
	s := a.server.Load()
	if s == nil {
		return reply, history.RoleFollower, nil, nodes.Errorf(history.NotReady, "rpc error: the server is starting")
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
	on := forwardOptions{final: true}
	if a.defects[ForwardsToNeighbour] {
		addr, on = s.neighbour(), forwardOptions{hold: holdAtServer}
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
func forwardToServer[A, R any](ctx context.Context, a *Agent, m method[A, R], args A) (reply R, downstream []history.Hop, err error) {
	index := a.serverIndex.Load()
	addr, ok := pickServer(a.gossip.Members(), index)
	if !ok {
		return reply, nil, nodes.Errorf(history.NoServer, "No known Consul servers")
	}
	reply, downstream, err = forward(ctx, a, m, args, addr, forwardOptions{hold: holdAtServer})
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
	response, err := a.call(ctx, addr, rpc.Request{Method: m.name, Hold: o.hold, Final: o.final, Body: rpc.Encode(args)})
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

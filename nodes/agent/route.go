package agent

import (
	"context"
	"slices"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

const (
	// holdAtOrigin is how long an agent seeks a leader for a request of its own, as Consul's
	// rpc_hold_timeout.
	holdAtOrigin = 7 * time.Second
	// holdAtServer is how long a server seeks one for a client agent, which can ask another.
	holdAtServer = 2 * time.Second
	// pauseBetween is the mean pause between two attempts.
	pauseBetween = 20 * time.Millisecond
)

// way is how far a call may go.
type way struct {
	hold  time.Duration // how long to seek who answers it
	final bool          // not forwarded any more
}

var fromHere = way{hold: holdAtOrigin}

// invoke makes a call, wherever it is answered: here, at the leader, or by a server of a
// client agent's choice. It makes it again where retry.go allows. The hops are those of
// the last attempt, first this agent.
func invoke[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, w way) (R, []history.Hop, error) {
	begun := a.host.Monotonic()
	for {
		reply, role, behind, err := attempt(ctx, a, m, args, w)
		spent := a.host.Monotonic() - begun
		hops := append([]history.Hop{{Node: a.Name, Role: role, MS: milliseconds(spent)}}, behind...)
		if err == nil || w.final || !again(m.read, err, a.defects) {
			return reply, hops, err
		}
		pause := pauseBetween/2 + a.upTo(pauseBetween)
		if spent+pause >= w.hold || sleep(ctx, pause) != nil {
			return reply, hops, gaveUp(err)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// attempt makes a call once.
func attempt[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, w way) (reply R, role history.Role, behind []history.Hop, err error) {
	if !a.Server {
		reply, behind, err = viaServer(ctx, a, m, args)
		return reply, history.RoleClient, behind, err
	}
	s := a.server.Load()
	if s == nil {
		return reply, history.RoleFollower, nil, nodes.Errorf(history.NotReady, "rpc error: the server is starting")
	}
	if m.enter != nil && !w.final {
		changed, done := m.enter(s, args)
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
	if leads || m.place(a, args) != theLeader {
		reply, err = m.serve(s, ctx, args)
		return reply, role, nil, err
	}
	if w.final {
		return reply, role, nil, notLeader()
	}
	addr := s.leaderAddr()
	if addr == "" || addr == a.rpcAddr() {
		return reply, role, nil, nodes.Errorf(history.NoLeader, "No cluster leader")
	}
	reply, behind, err = remote(ctx, a, m, args, addr, way{final: true})
	return reply, role, behind, err
}

// viaServer makes a client agent's call: to the server that it has kept to so far,
// until that one is in trouble.
func viaServer[A, R any](ctx context.Context, a *Agent, m method[A, R], args A) (reply R, behind []history.Hop, err error) {
	turn := a.turn.Load()
	addr, ok := pick(a.gossip.Members(), turn)
	if !ok {
		return reply, nil, nodes.Errorf(history.NoServer, "No known Consul servers")
	}
	reply, behind, err = remote(ctx, a, m, args, addr, way{hold: holdAtServer})
	if err != nil && elsewhere(err) {
		a.turn.CompareAndSwap(turn, turn+1)
	}
	return reply, behind, err
}

// pick chooses among the servers that are alive; if none is, among those that failed,
// for gossip may be mistaken.
func pick(members []gossip.Member, turn uint64) (addr string, ok bool) {
	for _, status := range []gossip.Status{gossip.Alive, gossip.Failed} {
		servers := slices.DeleteFunc(slices.Clone(members), func(m gossip.Member) bool {
			return !m.Tags.Server || m.Status != status
		})
		if n := uint64(len(servers)); n > 0 {
			return servers[turn%n].Tags.RPC, true
		}
	}
	return "", false
}

func remote[A, R any](ctx context.Context, a *Agent, m method[A, R], args A, addr string, w way) (reply R, behind []history.Hop, err error) {
	response, err := a.call(ctx, addr, rpc.Request{Method: m.name, Hold: w.hold, Final: w.final, Body: rpc.Encode(args)})
	if response != nil {
		behind = response.Hops
	}
	if err != nil {
		return reply, behind, err
	}
	if err := rpc.Decode(response.Body, &reply); err != nil {
		return reply, behind, nodes.Errorf(history.ForwardLost, "rpc error: %v", err)
	}
	return reply, behind, nil
}

package agent

import (
	"context"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

// routing is which server may answer a call.
type routing int

const (
	toLeader routing = iota
	toAnyServer
	toThisServer // the one that receives it, and no other
)

// method is one kind of call, from arguments A to a result R.
type method[A, R any] struct {
	name    string
	read    bool                    // idempotent: a retry does no harm
	routing func(*Agent, A) routing // who may answer
	serve   func(*server, context.Context, A) (R, error)
	// intercept, if set, may change or answer a call at the first server that receives it.
	intercept func(*server, A) (A, *R)
}

// always is the routing of a method whatever its arguments are.
func always[A any](r routing) func(*Agent, A) routing { return func(*Agent, A) routing { return r } }

// Every call that agents make of each other.
var (
	readMethod = method[readArgs, readReply]{name: "kv.read", read: true,
		routing: readRouting, serve: (*server).read}
	writeMethod = method[writeArgs, writeReply]{name: "kv.write",
		routing: always[writeArgs](toLeader), serve: (*server).write, intercept: (*server).checkCASHere}
	sessionsMethod = method[sessionArgs, sessionReply]{name: "session.list", read: true,
		routing: sessionsRouting, serve: (*server).sessionsRead}
	renewMethod = method[sessionArgs, sessionReply]{name: "session.renew", read: true,
		routing: always[sessionArgs](toLeader), serve: (*server).sessionRenew}
	confirmMethod = method[confirmArgs, confirmReply]{name: "raft.confirm", read: true,
		routing: always[confirmArgs](toThisServer), serve: (*server).confirm}
	statusMethod = method[none, statusReply]{name: "raft.status", read: true,
		routing: always[none](toThisServer), serve: (*server).status}
	clusterMethod = method[none, statusReply]{name: "raft.cluster", read: true,
		routing: always[none](toAnyServer), serve: (*server).status}
	configurationMethod = method[none, statusReply]{name: "raft.configuration", read: true,
		routing: always[none](toLeader), serve: (*server).status}
	timeoutNowMethod = method[timeoutNowArgs, none]{name: "raft.timeout-now",
		routing: always[timeoutNowArgs](toThisServer), serve: (*server).receiveTimeoutNow}
	transferMethod = method[transferArgs, none]{name: "raft.transfer",
		routing: always[transferArgs](toLeader), serve: (*server).transfer}
	removeMethod = method[removeArgs, none]{name: "raft.remove", read: true, // twice removed is removed
		routing: always[removeArgs](toLeader), serve: (*server).remove}
	expelMethod = method[expelArgs, none]{name: "raft.expel",
		routing: always[expelArgs](toLeader), serve: (*server).expel}
)

// endpoints are the same methods, by name, for calls that come from outside.
var endpoints = map[string]endpoint{
	readMethod.name:       endpointOf(readMethod),
	writeMethod.name:      endpointOf(writeMethod),
	sessionsMethod.name:   endpointOf(sessionsMethod),
	renewMethod.name:      endpointOf(renewMethod),
	confirmMethod.name:    endpointOf(confirmMethod),
	statusMethod.name:     endpointOf(statusMethod),
	clusterMethod.name:    endpointOf(clusterMethod),
	timeoutNowMethod.name: endpointOf(timeoutNowMethod),
	transferMethod.name:   endpointOf(transferMethod),
	removeMethod.name:     endpointOf(removeMethod),
	expelMethod.name:      endpointOf(expelMethod),

	configurationMethod.name: endpointOf(configurationMethod),
	nodesMethod.name:         endpointOf(nodesMethod),
	datacentersMethod.name:   endpointOf(datacentersMethod),
}

func sessionsRouting(a *Agent, args sessionArgs) routing {
	return readRouting(a, readArgs{Mode: args.Mode})
}

type endpoint func(context.Context, *Agent, rpc.Request) rpc.Response

func endpointOf[A, R any](m method[A, R]) endpoint {
	return func(ctx context.Context, a *Agent, request rpc.Request) rpc.Response {
		var args A
		if err := rpc.Decode(request.Body, &args); err != nil {
			return rpc.Response{Code: history.BadRequest, Text: "rpc error: " + err.Error()}
		}
		reply, hops, err := invoke(ctx, a, m, args, forwardOptions{hold: request.Hold, final: request.Final,
			dc: request.DC, forwards: request.Forwards, across: request.DC == a.DC})
		response := rpc.Response{Hops: hops}
		if err != nil {
			response.Code, response.Text = nodes.CodeOf(err), textOf(err)
			return response
		}
		response.Body = rpc.Encode(reply)
		return response
	}
}

// serveRPC answers a call from outside.
func (a *Agent) serveRPC(ctx context.Context, request rpc.Request) rpc.Response {
	if a.leaving.Load() {
		return rpc.Response{Code: history.NotReady, Text: "rpc error: the agent is leaving"}
	}
	serve, ok := endpoints[request.Method]
	if !ok {
		return rpc.Response{Code: history.NotFound, Text: "rpc error: no method " + request.Method}
	}
	return serve(ctx, a, request)
}

type none struct{}

type (
	readArgs struct {
		Query    kv.Query
		Mode     history.Mode
		MinIndex uint64 // answer when the index is above; 0 at once
		WaitMS   int64  // or after so long
	}
	readReply struct {
		Entries       []kv.Entry
		Names         []string
		Index         uint64
		LastContactMS int64
		KnownLeader   bool
	}
	writeArgs  struct{ Command []byte }
	writeReply struct {
		OK      bool
		Index   uint64 // of the entry; 0 if the server did not wait for it
		Found   bool   // with Current: what a failed compare met
		Current kv.Entry
	}
)

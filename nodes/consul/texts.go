package consul

import (
	"net/http"
	"strings"

	"faultline/nodes"
)

// texts maps what Consul says in the body of a failed request to a code. The first line
// whose text stands in the body, upper or lower case, counts. An error of a server that a
// request was forwarded to arrives inside "rpc error making call: …", so the texts of
// definite errors come before that one.
//
// Definite here relies on Consul not repeating a write after an error that is not
// (canRetry in agent/consul/rpc.go: writes are tried again only for lack of a leader
// or for a rate limit), so that the last error speaks for all tries.
var texts = []struct {
	text string
	code nodes.Code
}{
	// hashicorp/raft api.go: the future's errors. The first three are raised after the
	// entry may have been appended.
	{"leadership lost while committing log", nodes.LeadershipLost},
	{"snapshot restored while committing log", nodes.LeadershipLost},
	{"raft is already shutdown", nodes.Shutdown},
	{"node is not the leader", nodes.NotLeader},
	{"leadership transfer in progress", nodes.NoLeader},
	{"timed out enqueuing operation", nodes.NotReady},

	// Consul's agent/consul/state/kvs.go: an acquire by a session that is not there.
	{"invalid session", nodes.NoSession},

	// Consul's agent/structs/errors.go: raised before anything is proposed.
	{"no cluster leader", nodes.NoLeader},
	{"raft leader not found in server lookup mapping", nodes.NoLeader},
	{"not ready to serve consistent reads", nodes.NoLeader},
	{"no known consul servers", nodes.NoServer},
	{"no path to datacenter", nodes.NoServer},
	{"remote dc has no server currently reachable", nodes.NoServer},
	{"rpc rate limit exceeded", nodes.NotReady},
	{"rate limit reached, try again later", nodes.NotReady},

	// Consul's agent/pool/pool.go: the forwarding. Without a client nothing was sent.
	{"rpc error getting client", nodes.NoServer},
	{"rpc error making call", nodes.ForwardLost},

	// What a broken connection between servers leaves, in other words.
	{"context deadline exceeded", nodes.Timeout},
	{"i/o timeout", nodes.ForwardLost},
	{"connection reset by peer", nodes.ForwardLost},
	{"broken pipe", nodes.ForwardLost},
	{"session shutdown", nodes.ForwardLost},
	{"stream closed", nodes.ForwardLost},
	{"eof", nodes.ForwardLost},
}

// statuses maps those that Consul answers only before it looks at its data: a malformed or
// forbidden request, one that is too large, one of too many.
var statuses = map[int]nodes.Code{
	http.StatusBadRequest:            nodes.BadRequest,
	http.StatusForbidden:             nodes.BadRequest,
	http.StatusMethodNotAllowed:      nodes.BadRequest,
	http.StatusRequestEntityTooLarge: nodes.BadRequest,
	http.StatusTooManyRequests:       nodes.NotReady,
}

// classify makes an error of an answer that is not the one hoped for: by the header with
// which the reference agent names its errors, by Consul's texts, by the status. What none
// of them knows is Unknown, and so indefinite.
func classify(a answer) *nodes.Error {
	return nodes.Errorf(codeOf(a), "status %d: %s", a.status, excerpt(a.body))
}

func codeOf(a answer) nodes.Code {
	if a.status < http.StatusBadRequest {
		return nodes.Unknown
	}
	if named := a.header.Get(nodes.HeaderError); named != "" {
		if code := nodes.Code(named); code.Known() {
			return code
		}
		return nodes.Unknown
	}
	body := strings.ToLower(string(a.body))
	for _, t := range texts {
		if strings.Contains(body, t.text) {
			return t.code
		}
	}
	if code, ok := statuses[a.status]; ok {
		return code
	}
	return nodes.Unknown
}

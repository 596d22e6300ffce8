package consul

import (
	"net/http"
	"strings"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
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
	code history.Code
}{
	// hashicorp/raft api.go: the future's errors. The first three are raised after the
	// entry may have been appended.
	{"leadership lost while committing log", history.LeadershipLost},
	{"snapshot restored while committing log", history.LeadershipLost},
	{"raft is already shutdown", history.Shutdown},
	{"node is not the leader", history.NotLeader},
	{"leadership transfer in progress", history.NoLeader},
	{"timed out enqueuing operation", history.NotReady},

	// Consul's agent/consul/state/kvs.go: an acquire by a session that is not there.
	{"invalid session", history.NoSession},

	// Consul's agent/structs/errors.go: raised before anything is proposed.
	{"no cluster leader", history.NoLeader},
	{"raft leader not found in server lookup mapping", history.NoLeader},
	{"not ready to serve consistent reads", history.NoLeader},
	{"no known consul servers", history.NoServer},
	{"no path to datacenter", history.NoPath},
	{"remote dc has no server currently reachable", history.DCDown},
	{"rpc rate limit exceeded", history.NotReady},
	{"rate limit reached, try again later", history.NotReady},

	// Consul's agent/pool/pool.go: the forwarding. Without a client nothing was sent.
	{"rpc error getting client", history.NoServer},
	{"rpc error making call", history.ForwardLost},

	// What a broken connection between servers leaves, in other words.
	{"context deadline exceeded", history.Timeout},
	{"i/o timeout", history.ForwardLost},
	{"connection reset by peer", history.ForwardLost},
	{"broken pipe", history.ForwardLost},
	{"session shutdown", history.ForwardLost},
	{"stream closed", history.ForwardLost},
	{"eof", history.ForwardLost},
}

// statuses maps those that Consul answers only before it looks at its data: a malformed or
// forbidden request, one that is too large, one of too many.
var statuses = map[int]history.Code{
	http.StatusBadRequest:            history.BadRequest,
	http.StatusForbidden:             history.BadRequest,
	http.StatusMethodNotAllowed:      history.BadRequest,
	http.StatusRequestEntityTooLarge: history.BadRequest,
	http.StatusTooManyRequests:       history.NotReady,
}

// classify makes an error of an answer that is not the one hoped for: by the header with
// which the reference agent names its errors, by Consul's texts, by the status. What none
// of them knows is Unknown, and so indefinite.
func classify(a web.Answer) *nodes.Error {
	return nodes.Errorf(codeOf(a), "status %d: %s", a.Status, web.Excerpt(a.Body))
}

func codeOf(a web.Answer) history.Code {
	if a.Status < http.StatusBadRequest {
		return history.Unknown
	}
	if named := a.Header.Get(nodes.HeaderError); named != "" {
		if code := history.Code(named); code.Known() {
			return code
		}
		return history.Unknown
	}
	body := strings.ToLower(string(a.Body))
	for _, t := range texts {
		if strings.Contains(body, t.text) {
			return t.code
		}
	}
	if code, ok := statuses[a.Status]; ok {
		return code
	}
	return history.Unknown
}

package etcd

import (
	"encoding/json"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// texts maps what etcd says of an error, word for word (api/v3rpc/rpctypes/error.go), to a code. What is not
// here is Unknown, and so indefinite; the codes of gRPC and of HTTP say nothing about whether
// something was proposed.
//
// A proposal is made in processInternalRaftRequestOnce (server/etcdserver/v3_server.go); definite is
// what is certainly said before its Propose, or by the state machine of every member alike, which is
// the same as a condition that did not hold.
var texts = map[string]history.Code{
	// The first lines of processInternalRaftRequestOnce.
	"etcdserver: too many requests":    history.NotReady,
	"etcdserver: request is too large": history.BadRequest,

	// Interceptors of api/v3rpc/interceptor.go, before the request is looked at.
	"etcdserver: not capable":                   history.NotReady,
	"etcdserver: rpc not supported for learner": history.NotReady,

	// checkPutRequest, checkTxnRequest and checkRangeRequest in api/v3rpc/key.go.
	"etcdserver: key is not provided":                          history.BadRequest,
	"etcdserver: value is provided":                            history.BadRequest,
	"etcdserver: lease is provided":                            history.BadRequest,
	"etcdserver: too many operations in txn request":           history.BadRequest,
	"etcdserver: duplicate key given in txn request":           history.BadRequest,
	"etcdserver: invalid sort option":                          history.BadRequest,
	"etcdserver: too large lease TTL":                          history.BadRequest, // lease/lessor.go, Grant
	"etcdserver: mvcc: required revision is a future revision": history.BadRequest,

	// The state machine: a put or a txn looks for its leases before it changes anything (checkPut and
	// checkTxn in etcdserver/txn; checkRequestPut in 3.4), a revocation and a renewal need one.
	"etcdserver: requested lease not found": history.NoSession,

	// raft.Step returns it before it appends anything: nobody leads, the leader hands over or was
	// removed (go.etcd.io/raft, stepFollower, stepCandidate, stepLeader). A proposal that was forwarded
	// and dropped by the leader is not told of, and times out.
	"raft proposal dropped": history.NoLeader,

	// MoveLeader in api/v3rpc/maintenance.go: asked of a member that does not lead.
	"etcdserver: not leader":            history.NotLeader,
	"etcdserver: bad leader transferee": history.BadRequest,

	// Changes of members (etcdserver/server.go: mayAddMember, mayRemoveMember) are refused before
	// they are proposed, or by membership.RaftCluster of every member alike.
	"etcdserver: unhealthy cluster":                                         history.NotReady,
	"etcdserver: re-configuration failed due to not enough started members": history.NotReady,
	"etcdserver: Peer URLs already exists":                                  history.BadRequest,
	"etcdserver: member ID already exist":                                   history.BadRequest,
	"etcdserver: given member URLs are invalid":                             history.BadRequest,
	"etcdserver: member not found":                                          history.NotFound,

	// After the proposal, or for all that the text tells: the same words are used for both. Without a leader
	// a renewal may have been tried before with one (LeaseRenew). A quota says "space exceeded" also of
	// a put that it let be done (quotaApplierV3), and "corrupt cluster" is one member's word.
	"etcdserver: no leader":                 history.Timeout,
	"etcdserver: leader changed":            history.LeadershipLost,
	"etcdserver: server stopped":            history.Shutdown,
	"etcdserver: request cancelled":         history.Timeout,
	"etcdserver: request canceled":          history.Timeout,
	"etcdserver: context deadline exceeded": history.Timeout,
	"context deadline exceeded":             history.Timeout,
	"context canceled":                      history.Timeout,
	"etcdserver: request timed out":         history.Timeout,
	"etcdserver: request timed out, possibly due to previous leader failure":     history.LeadershipLost,
	"etcdserver: request timed out, possibly due to connection lost":             history.ForwardLost,
	"etcdserver: request timed out, waiting for the applied index took too long": history.Timeout,
	"etcdserver: request timed out, leader transfer took too long":               history.Timeout,
	"not a primary lessor":                      history.LeadershipLost,
	"raft: stopped":                             history.Shutdown,
	"etcdserver: mvcc: database space exceeded": history.Unknown,
	"etcdserver: corrupt cluster":               history.Unknown,
}

// classify makes an error of an answer that is not the one hoped for.
func classify(a web.Answer) *nodes.Error {
	var said failure
	if err := json.Unmarshal(a.Body, &said); err != nil {
		return nodes.Errorf(history.Unknown, "status %d: %s", a.Status, web.Excerpt(a.Body))
	}
	return said.asError()
}

func (f failure) asError() *nodes.Error {
	text := f.Message
	if text == "" {
		text = f.Text
	}
	code, ok := texts[text]
	if !ok {
		code = history.Unknown
	}
	return nodes.Errorf(code, "%s", web.Excerpt([]byte(text)))
}

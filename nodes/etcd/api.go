package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// The requests and answers of etcd's API (api/etcdserverpb/rpc.proto), as its gateway has them in
// JSON: 64-bit numbers are text, bytes are base64, and what is zero is left out.

type header struct {
	MemberID uint64 `json:"member_id,string"`
	Revision uint64 `json:"revision,string"`
	RaftTerm uint64 `json:"raft_term,string"`
}

// answered is an answer with a header, which every one that etcd made has.
type answered interface{ told() header }

func (h headed) told() header { return h.Header }

type headed struct {
	Header header `json:"header"`
}

type rangeRequest struct {
	Key          []byte `json:"key"`
	RangeEnd     []byte `json:"range_end,omitempty"`
	Serializable bool   `json:"serializable,omitempty"`
}

type keyValue struct {
	Key            []byte `json:"key"`
	Value          []byte `json:"value"`
	ModRevision    uint64 `json:"mod_revision,string"`
	CreateRevision uint64 `json:"create_revision,string"`
	Lease          int64  `json:"lease,string"`
}

type rangeAnswer struct {
	headed
	KVs []keyValue `json:"kvs"`
}

type putRequest struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
	Lease int64  `json:"lease,string,omitempty"`
}

type putAnswer struct{ headed }

type deleteRequest struct {
	Key      []byte `json:"key"`
	RangeEnd []byte `json:"range_end,omitempty"`
}

type deleteAnswer struct{ headed }

// compare is one of CREATE, MOD and LEASE.
type compare struct {
	Key            []byte  `json:"key"`
	Target         string  `json:"target"`
	Result         string  `json:"result"`
	CreateRevision *uint64 `json:"create_revision,string,omitempty"`
	ModRevision    *uint64 `json:"mod_revision,string,omitempty"`
	Lease          *int64  `json:"lease,string,omitempty"`
}

type txnRequest struct {
	Compare []compare `json:"compare"`
	Success []txnOp   `json:"success,omitempty"`
	Failure []txnOp   `json:"failure,omitempty"`
}

type txnOp struct {
	Put    *putRequest    `json:"request_put,omitempty"`
	Range  *rangeRequest  `json:"request_range,omitempty"`
	Delete *deleteRequest `json:"request_delete_range,omitempty"`
	Txn    *txnRequest    `json:"request_txn,omitempty"`
}

type txnAnswer struct {
	headed
	Succeeded bool        `json:"succeeded"`
	Responses []txnResult `json:"responses"`
}

type txnResult struct {
	Put   *putAnswer   `json:"response_put"`
	Range *rangeAnswer `json:"response_range"`
	Txn   *txnAnswer   `json:"response_txn"`
}

type leaseRequest struct {
	ID  int64 `json:"ID,string,omitempty"`
	TTL int64 `json:"TTL,string,omitempty"` // seconds
}

type leaseAnswer struct {
	headed
	ID    int64  `json:"ID,string"`
	TTL   int64  `json:"TTL,string"` // seconds; of a keepalive, 0: there is no such lease
	Error string `json:"error"`
}

// keepAliveAnswer is the first, and here the only one, of a stream.
type keepAliveAnswer struct {
	Result *leaseAnswer `json:"result"`
	Error  *failure     `json:"error"`
}

type statusAnswer struct {
	headed
	Applied uint64 `json:"raftAppliedIndex,string"`
	Term    uint64 `json:"raftTerm,string"`
}

type member struct {
	ID        uint64   `json:"ID,string"`
	Name      string   `json:"name"` // empty until it has started
	PeerURLs  []string `json:"peerURLs"`
	IsLearner bool     `json:"isLearner"`
}

type memberRequest struct {
	ID       uint64   `json:"ID,string,omitempty"`
	PeerURLs []string `json:"peerURLs,omitempty"`
}

type membersAnswer struct {
	headed
	Member  *member  `json:"member"` // that was added
	Members []member `json:"members"`
}

type transferRequest struct {
	Target uint64 `json:"targetID,string"`
}

// failure is what the gateway says of an error: since 3.6 in message alone, before in error too.
type failure struct {
	Message string `json:"message"`
	Text    string `json:"error"`
}

// client asks one node.
type client struct {
	web    *web.Client
	system *System

	mu    sync.Mutex
	names map[uint64]string // of members, by ID
}

func (c *client) Close() { c.web.Close() }

// call asks once for one thing. What an answer lacks makes it an Unknown.
func (c *client) call(ctx context.Context, path string, request any, answer answered) error {
	body, err := c.post(ctx, path, request)
	if err != nil {
		return err
	}
	if err := parse(body, answer); err != nil {
		return nodes.Errorf(history.Unknown, "%s: %v", path, err)
	}
	return nil
}

// post asks once, and returns the body of the answer if that is no error.
func (c *client) post(ctx context.Context, path string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, nodes.Errorf(history.BadRequest, "%v", err)
	}
	a, err := c.web.Do(ctx, web.Request{Method: http.MethodPost, URL: &url.URL{Path: path}, Body: string(body)})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, classify(a)
	}
	return a.Body, nil
}

// parse reads an answer of etcd's.
func parse(body []byte, answer answered) error {
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("an answer that is none of etcd, %s: %w", web.Excerpt(body), err)
	}
	if answer.told().MemberID == 0 {
		return fmt.Errorf("an answer without a member_id, %s", web.Excerpt(body))
	}
	return nil
}

// hex is a member's ID, as etcd's tools write it.
func hex(id uint64) string { return strconv.FormatUint(id, 16) }

// parseID reads what hex wrote.
func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err == nil && id == 0 {
		err = errors.New("0 is no member")
	}
	return id, err
}

package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// CreateSession grants a lease of at least ttl. etcd itself makes it longer than asked where an election could
// take longer (lease/lessor.go, minLeaseTTL). It has no lock delay: one that is asked for is a BadRequest. Its keys are always deleted with it.
func (c *client) CreateSession(ctx context.Context, ttl, lockDelay time.Duration, _ bool) (id string, err error) {
	if ttl <= 0 || lockDelay != 0 {
		return "", nodes.Errorf(history.BadRequest, "a lease with a TTL of %v and a lock delay of %v", ttl, lockDelay)
	}
	seconds := wholeSeconds(ttl)
	var made leaseAnswer
	if err := c.call(ctx, "/v3/lease/grant", leaseRequest{TTL: seconds}, &made); err != nil {
		return "", err
	}
	if made.Error != "" || made.ID == 0 || made.TTL < seconds {
		return "", nodes.Errorf(history.Unknown, "a request for a lease of %d s was answered with the lease %d of %d s (%q)", seconds, made.ID, made.TTL, made.Error)
	}
	return strconv.FormatInt(made.ID, 10), nil
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// RenewSession sends one keepalive.
func (c *client) RenewSession(ctx context.Context, id string) error {
	lease, err := leaseOf(id)
	if err != nil {
		return err
	}
	body, err := c.post(ctx, "/v3/lease/keepalive", leaseRequest{ID: lease})
	if err != nil {
		return err
	}
	ttl, failed, err := parseKeepAlive(body, lease)
	switch {
	case err != nil:
		return nodes.Errorf(history.Unknown, "%v", err)
	case failed != nil:
		return failed.asError()
	case ttl == 0: // LeaseKeepAlive in api/v3rpc/lease.go
		return nodes.Errorf(history.NoSession, "there is no lease %d", lease)
	}
	return nil
}

// parseKeepAlive reads the first answer of a stream of keepalives: a TTL, which is 0 of a lease that is not
// there, or an error.
func parseKeepAlive(body []byte, lease int64) (ttl int64, failed *failure, err error) {
	var first keepAliveAnswer
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&first); err != nil {
		return 0, nil, fmt.Errorf("an answer that is no keepalive, %s: %w", web.Excerpt(body), err)
	}
	switch {
	case first.Error != nil:
		return 0, first.Error, nil
	case first.Result == nil || first.Result.ID != lease || first.Result.TTL < 0:
		return 0, nil, fmt.Errorf("a keepalive of the lease %d was answered with %s", lease, web.Excerpt(body))
	}
	return first.Result.TTL, nil, nil
}

// DestroySession revokes a lease, and etcd deletes the keys that have it.
func (c *client) DestroySession(ctx context.Context, id string) error {
	lease, err := leaseOf(id)
	if err != nil {
		return err
	}
	return c.call(ctx, "/v3/lease/revoke", leaseRequest{ID: lease}, &headed{})
}

// Acquire puts a key with the session's lease, if it has that lease or none. A key that is absent has
// none (applyCompare in etcdserver/txn/txn.go).
func (c *client) Acquire(ctx context.Context, key, value, session string) (nodes.Answer, error) {
	lease, err := leaseOf(session)
	if err != nil {
		return nodes.Answer{}, err
	}
	put := []txnOp{{Put: &putRequest{Key: []byte(key), Value: []byte(value), Lease: lease}}}
	answer, err := c.txn(ctx, txnRequest{
		Compare: []compare{hasLease(key, 0)},
		Success: put,
		Failure: []txnOp{{Txn: &txnRequest{Compare: []compare{hasLease(key, lease)}, Success: put}}},
	})
	if err != nil {
		return nodes.Answer{}, err
	}
	done, err := answer.eitherSucceeded()
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return locked(done, value, answer)
}

// eitherSucceeded reports whether the txn succeeded, or the one that it did instead.
func (a txnAnswer) eitherSucceeded() (bool, error) {
	if a.Succeeded {
		return true, nil
	}
	if len(a.Responses) != 1 || a.Responses[0].Txn == nil {
		return false, fmt.Errorf("a txn whose compare failed was answered without the txn that it did instead")
	}
	return a.Responses[0].Txn.Succeeded, nil
}

// Release puts a key without a lease, if it has the session's.
func (c *client) Release(ctx context.Context, key, value, session string) (nodes.Answer, error) {
	lease, err := leaseOf(session)
	if err != nil {
		return nodes.Answer{}, err
	}
	answer, err := c.txn(ctx, txnRequest{
		Compare: []compare{hasLease(key, lease)},
		Success: []txnOp{{Put: &putRequest{Key: []byte(key), Value: []byte(value)}}},
	})
	if err != nil {
		return nodes.Answer{}, err
	}
	return locked(answer.Succeeded, value, answer)
}

func hasLease(key string, lease int64) compare {
	return compare{Key: []byte(key), Target: "LEASE", Result: "EQUAL", Lease: &lease}
}

func locked(done bool, value string, answer txnAnswer) (nodes.Answer, error) {
	if !done {
		return nodes.Answer{}, nodes.Errorf(history.LockHeld, "the lock has another lease")
	}
	return written(value, answer.Header.Revision)
}

func leaseOf(session string) (int64, error) {
	id, err := strconv.ParseInt(session, 10, 64)
	if err != nil || id == 0 {
		return 0, nodes.Errorf(history.BadRequest, "the session %q is no lease", session)
	}
	return id, nil
}

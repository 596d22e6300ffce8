package etcd

import (
	"context"
	"strconv"

	"faultline/nodes"
	"faultline/workloads/history"
)

// entry is a key as the history has it. Its lease is what this client calls a session.
func (kv keyValue) entry() history.Entry {
	e := history.Entry{Key: string(kv.Key), Value: string(kv.Value), CreateIndex: kv.CreateRevision, ModifyIndex: kv.ModRevision}
	if kv.Lease != 0 {
		e.Session = strconv.FormatInt(kv.Lease, 10)
	}
	return e
}

// keysFrom is the range of all keys that begin with a prefix: from it to the next text that is no prefix of any
// of them (rpc.proto, RangeRequest.range_end). The zero byte stands for the end of all keys, and, as a beginning, for the first.
func keysFrom(prefix string) (from, end []byte) {
	if prefix == "" {
		return []byte{0}, []byte{0}
	}
	end = []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return []byte(prefix), end[:i+1]
		}
	}
	return []byte(prefix), []byte{0}
}

// List implements nodes.Trees.
func (c *client) List(ctx context.Context, prefix string, mode history.Mode) (nodes.Answer, error) {
	from, end := keysFrom(prefix)
	answer, err := c.read(ctx, rangeRequest{Key: from, RangeEnd: end}, mode)
	if err != nil {
		return nodes.Answer{}, err
	}
	list := nodes.Answer{Found: len(answer.KVs) > 0, Next: answer.Header.Revision}
	for _, kv := range answer.KVs {
		if kv.ModRevision == 0 {
			return nodes.Answer{}, nodes.Errorf(history.Unknown, "the key %q has no mod_revision", kv.Key)
		}
		list.Entries = append(list.Entries, kv.entry())
	}
	return list, nil
}

// Delete implements nodes.Trees.
func (c *client) Delete(ctx context.Context, key string) (nodes.Answer, error) {
	return c.delete(ctx, deleteRequest{Key: []byte(key)})
}

// DeleteTree implements nodes.Trees.
func (c *client) DeleteTree(ctx context.Context, prefix string) (nodes.Answer, error) {
	from, end := keysFrom(prefix)
	return c.delete(ctx, deleteRequest{Key: from, RangeEnd: end})
}

func (c *client) delete(ctx context.Context, request deleteRequest) (nodes.Answer, error) {
	var answer deleteAnswer
	if err := c.call(ctx, "/v3/kv/deleterange", request, &answer); err != nil {
		return nodes.Answer{}, err
	}
	return deleted(answer.Header.Revision)
}

// deleted is the state of a key after a deletion. Of a key that was absent already, etcd tells the revision of
// before, which is no lie: it was absent then.
func deleted(revision uint64) (nodes.Answer, error) {
	a, err := written("", revision)
	a.Found = false
	return a, err
}

// DeleteCAS implements nodes.Trees, as CAS does.
func (c *client) DeleteCAS(ctx context.Context, key string, index uint64) (nodes.Answer, error) {
	if index == 0 {
		return nodes.Answer{}, nodes.Errorf(history.BadRequest, "a deletion of a key that must be absent")
	}
	answer, err := c.txn(ctx, txnRequest{
		Compare: []compare{{Key: []byte(key), Target: "MOD", Result: "EQUAL", ModRevision: &index}},
		Success: []txnOp{{Delete: &deleteRequest{Key: []byte(key)}}},
		Failure: []txnOp{{Range: &rangeRequest{Key: []byte(key)}}},
	})
	if err != nil {
		return nodes.Answer{}, err
	}
	if answer.Succeeded {
		return deleted(answer.Header.Revision)
	}
	current, err := answer.current(key)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return current, nodes.Errorf(history.CASMismatch, "the mod_revision is not %d", index)
}

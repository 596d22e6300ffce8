package etcd

import (
	"context"
	"fmt"

	"faultline/nodes"
	"faultline/workloads/history"
)

var (
	_ nodes.KeyValue = (*client)(nil)
	_ nodes.Locks    = (*client)(nil)
	_ nodes.Trees    = (*client)(nil)
)

// Do implements nodes.Conn.
func (c *client) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, c, op)
}

// Get implements nodes.KeyValue.
func (c *client) Get(ctx context.Context, key string, mode history.Mode) (nodes.Answer, error) {
	answer, err := c.read(ctx, rangeRequest{Key: []byte(key)}, mode)
	if err != nil {
		return nodes.Answer{}, err
	}
	item, err := answer.item(key)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	item.Next = answer.Header.Revision
	return item, nil
}

func (c *client) read(ctx context.Context, request rangeRequest, mode history.Mode) (answer rangeAnswer, err error) {
	switch mode {
	case history.ModeDefault, modeLinearizable:
	case ModeSerializable:
		request.Serializable = true
	default:
		return answer, nodes.Errorf(history.BadRequest, "read mode %q", mode)
	}
	err = c.call(ctx, "/v3/kv/range", request, &answer)
	return answer, err
}

// item is the state of the one key that was asked for.
func (a rangeAnswer) item(key string) (nodes.Answer, error) {
	if len(a.KVs) == 0 {
		return nodes.Answer{}, nil
	}
	kv := a.KVs[0]
	if len(a.KVs) != 1 || string(kv.Key) != key {
		return nodes.Answer{}, fmt.Errorf("an answer to a read of %q has %d keys, the first is %q", key, len(a.KVs), kv.Key)
	}
	if kv.ModRevision == 0 {
		return nodes.Answer{}, fmt.Errorf("the key %q has no mod_revision", key)
	}
	e := kv.entry()
	e.Key = ""
	return nodes.Answer{Value: e.Value, Found: true, Index: e.ModifyIndex, Entry: e}, nil
}

// Put implements nodes.KeyValue.
func (c *client) Put(ctx context.Context, key, value string) (nodes.Answer, error) {
	var answer putAnswer
	if err := c.call(ctx, "/v3/kv/put", putRequest{Key: []byte(key), Value: []byte(value)}, &answer); err != nil {
		return nodes.Answer{}, err
	}
	return written(value, answer.Header.Revision)
}

// written is the state of a key after a write that took effect at a revision.
func written(value string, revision uint64) (nodes.Answer, error) {
	if revision == 0 {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "a write was answered without a revision")
	}
	return nodes.Answer{Value: value, Found: true, Index: revision}, nil
}

// CAS implements nodes.KeyValue: a txn that reads the key where the compare fails.
func (c *client) CAS(ctx context.Context, key, value string, index uint64) (nodes.Answer, error) {
	is := compare{Key: []byte(key), Target: "MOD", Result: "EQUAL", ModRevision: &index}
	if index == 0 {
		is = compare{Key: []byte(key), Target: "CREATE", Result: "EQUAL", CreateRevision: &index}
	}
	answer, err := c.txn(ctx, txnRequest{
		Compare: []compare{is},
		Success: []txnOp{{Put: &putRequest{Key: []byte(key), Value: []byte(value)}}},
		Failure: []txnOp{{Range: &rangeRequest{Key: []byte(key)}}},
	})
	if err != nil {
		return nodes.Answer{}, err
	}
	if answer.Succeeded {
		return written(value, answer.Header.Revision)
	}
	current, err := answer.current(key)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return current, nodes.Errorf(history.CASMismatch, "the mod_revision is not %d", index)
}

// current is what a compare that failed has read.
func (a txnAnswer) current(key string) (nodes.Answer, error) {
	if len(a.Responses) != 1 || a.Responses[0].Range == nil {
		return nodes.Answer{}, fmt.Errorf("a txn whose compare failed was answered without what it read, of %q", key)
	}
	item, err := a.Responses[0].Range.item(key)
	if err != nil {
		return nodes.Answer{}, err
	}
	item.HasCurrent = true
	return item, nil
}

func (c *client) txn(ctx context.Context, request txnRequest) (txnAnswer, error) {
	var answer txnAnswer
	err := c.call(ctx, "/v3/kv/txn", request, &answer)
	return answer, err
}

package workloads

import (
	"context"
	"encoding/json"
	"strconv"

	"faultline/nodes"
	"faultline/workloads/history"
)

// perform does one operation, and never more than once.
func perform(ctx context.Context, c nodes.Client, op Op) Answer {
	var item nodes.Item
	var err error
	switch op.F {
	case history.OpRead:
		item, err = c.Get(ctx, op.Key, op.Mode)
	case history.OpWrite:
		item, err = c.Put(ctx, op.Key, op.Stored)
	case history.OpCAS:
		item, err = c.CAS(ctx, op.Key, op.Stored, op.Index)
	case history.OpCreate:
		item.Found = true
		item.Value, err = c.CreateSession(ctx, op.TTL, 0)
	case history.OpRenew:
		err = c.RenewSession(ctx, op.Session)
	case history.OpDestroy:
		err = c.DestroySession(ctx, op.Session)
	case history.OpAcquire:
		item, err = c.Acquire(ctx, op.Key, op.Stored, op.Session)
	case history.OpRelease:
		item, err = c.Release(ctx, op.Key, op.Stored, op.Session)
	default:
		err = nodes.Errorf(history.BadRequest, "no client can do %q", op.F)
	}
	if err == nil {
		item.HasCurrent = false
		return Answer{Type: history.OK, Item: item}
	}
	code := nodes.CodeOf(err)
	answer := Answer{Type: failure(op.F, code), Error: code, Item: nodes.Item{Hops: item.Hops}}
	if op.F == history.OpCAS && code == history.CASMismatch && item.HasCurrent {
		answer.Item = item
	}
	return answer
}

// failure is how an operation that ended with code is recorded.
func failure(f history.Op, code history.Code) history.Type {
	if code.Definite() || f == history.OpRead { // a read has no effect that could come later
		return history.Fail
	}
	return history.Info
}

// invocation is the event of an operation that is about to begin.
func invocation(process history.Process, node string, op Op) history.Event {
	return history.Event{Process: process, Type: history.Invoke, F: op.F, Key: op.Key, Value: op.Value,
		Node: node, Mode: op.Mode}
}

// completion is the event of its end. A write or cas keeps its argument as its value; a
// read has one only if it is ok.
func completion(process history.Process, node string, op Op, a Answer) history.Event {
	e := history.Event{Process: process, Type: a.Type, F: op.F, Key: op.Key, Value: op.Value,
		Error: a.Error, Node: node, Mode: op.Mode, Hops: a.Item.Hops}
	switch {
	case a.Item.HasCurrent:
		e.Current, e.ModifyIndex = found(a.Item), a.Item.Index
	case a.Type == history.OK && op.F == history.OpRead:
		e.Value = found(a.Item)
		if a.Item.Found {
			e.ModifyIndex = a.Item.Index
		}
	case a.Type == history.OK && op.F == history.OpCreate:
		e.Value = created(op, a.Item.Value)
	case a.Type == history.OK:
		e.ModifyIndex = a.Item.Index
	}
	return e
}

func created(op Op, session string) json.RawMessage {
	value, err := json.Marshal(SessionValue{Session: session, TTLMS: op.TTL.Milliseconds()})
	if err != nil {
		panic(err) // it always encodes
	}
	return value
}

// garbageShown bounds how much of a value that nobody wrote comes into the history.
const garbageShown = 200

// found is the recorded form of what a store holds: an integer, or null for nothing.
//
// A text that is no integer is recorded as a JSON string, in an operation that stays ok:
// the node did answer, and with a value that no client ever wrote. To call it info, as if
// the answer had been lost, would hide the worst that a store can do.
func found(item nodes.Item) json.RawMessage {
	switch {
	case !item.Found:
		return history.Null
	case isInteger(item.Value):
		return json.RawMessage(item.Value)
	}
	quoted, err := json.Marshal(item.Value[:min(len(item.Value), garbageShown)])
	if err != nil {
		panic(err) // a string always encodes
	}
	return quoted
}

// isInteger reports whether s is an int64 in the one way that strconv.FormatInt writes it,
// which is JSON's as well.
func isInteger(s string) bool {
	digits := s
	if len(s) > 1 && s[0] == '-' && s[1] != '0' {
		digits = s[1:]
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

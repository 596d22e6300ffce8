package workloads

import (
	"context"
	"encoding/json"
	"strconv"

	"faultline/nodes"
	"faultline/workloads/history"
)

// perform does one operation, and never more than once.
func perform(ctx context.Context, c nodes.Conn, op Op) Outcome {
	answer, err := c.Do(ctx, op.Op)
	if err == nil {
		answer.HasCurrent = false
		return Outcome{Type: history.OK, Answer: answer}
	}
	code := nodes.CodeOf(err)
	outcome := Outcome{Type: failure(op.F, code), Error: code, Answer: nodes.Answer{Hops: answer.Hops}}
	if (op.F == history.OpCAS || op.F == history.OpDeleteCAS) && code == history.CASMismatch && answer.HasCurrent {
		outcome.Answer = answer
	}
	return outcome
}

// failure is how an operation that ended with code is recorded.
func failure(f history.Op, code history.Code) history.Type {
	if code.Definite() || f.Reads() { // a read has no effect that could come later
		return history.Fail
	}
	return history.Info
}

// invocation is the event of an operation that is about to begin.
func invocation(process history.Process, node string, op Op) history.Event {
	return history.Event{Process: process, Type: history.Invoke, F: op.F, Key: op.Key, Value: op.Argument,
		Node: node, DC: op.DC, Mode: op.Mode}
}

// completion is the event of its end. A write or cas keeps its argument as its value; a
// read has one only if it is ok.
func completion(process history.Process, node string, op Op, a Outcome) history.Event {
	e := history.Event{Process: process, Type: a.Type, F: op.F, Key: op.Key, Value: op.Argument,
		Error: a.Error, Node: node, DC: op.DC, Mode: op.Mode, Hops: a.Answer.Hops}
	switch {
	case a.Answer.HasCurrent:
		e.Current, e.ModifyIndex = found(op, a.Answer), a.Answer.Index
	case a.Type == history.OK && op.F.Reads():
		e.Value = found(op, a.Answer)
		if op.Mode == history.ModeStale {
			e.AgeMS = a.Answer.LastSeen.Milliseconds()
		}
		if a.Answer.Found {
			e.ModifyIndex = a.Answer.Index
		}
	case a.Type == history.OK && op.F == history.OpCreate:
		e.Value = created(op, a.Answer.Value)
	case a.Type == history.OK:
		e.ModifyIndex = a.Answer.Index
	}
	return e
}

func created(op Op, session string) json.RawMessage {
	return sessionValue(op.Op, session)
}

// garbageShown bounds how much of a value that nobody wrote comes into the history.
const garbageShown = 200

// found is the recorded form of what a store holds: what the operation makes of it, or an
// integer, or null for nothing.
//
// A text that no client of the workload can have written is recorded as a JSON string, in an
// operation that stays ok: the node did answer, and with a value that no client ever wrote. To call
// it info, as if the answer had been lost, would hide the worst that a store can do.
func found(op Op, a nodes.Answer) json.RawMessage {
	record := op.Record
	if record == nil {
		record = recordInteger
	}
	if !a.Found && op.F != history.OpList && op.F != history.OpWatch {
		return history.Null
	}
	if recorded, ok := record(a); ok {
		return recorded
	}
	quoted, err := json.Marshal(a.Value[:min(len(a.Value), garbageShown)])
	if err != nil {
		panic(err) // a string always encodes
	}
	return quoted
}

func recordInteger(a nodes.Answer) (json.RawMessage, bool) {
	return json.RawMessage(a.Value), isInteger(a.Value)
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

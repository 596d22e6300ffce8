package history

import (
	"encoding/json"
	"fmt"
	"math"
)

// Pending is the Return of an operation that nobody saw end.
const Pending = math.MaxInt64

// Operation is a client's invoke and its completion, paired.
type Operation struct {
	ID          int64 // index of the invoke event
	Process     Process
	F           Op
	Key         string
	Input       json.RawMessage // value of the invoke
	Output      json.RawMessage // value of the completion
	Current     json.RawMessage // see Event
	Node        string
	DC          string // the datacenter whose data was meant; empty: that of Node
	Mode        Mode
	Invoke      int64 // nanoseconds
	Return      int64 // nanoseconds; Open if it is info or the history ends before it
	Type        Type  // OK, Fail or Info
	Error       Code
	ModifyIndex uint64
	AgeMS       int64 // see Event
	Hops        []Hop
}

// Operations pairs the client events, in the order of their invokes. An invoke without
// a completion becomes an open info operation. An error means that the history was not
// recorded properly: a completion without its invoke, or a process that acts while its
// operation is open or after an info.
func Operations(events []Event) ([]Operation, error) {
	var ops []Operation
	open := map[Process]int{} // position in ops of a process's running operation
	retired := map[Process]bool{}
	for i := range events {
		e := &events[i]
		if e.Process < 0 {
			continue
		}
		at, running := open[e.Process]
		if e.Type == Invoke {
			if running || retired[e.Process] {
				return nil, fmt.Errorf("event %d: process %d invokes while its last operation is open", e.Index, e.Process)
			}
			open[e.Process] = len(ops)
			ops = append(ops, Operation{ID: e.Index, Process: e.Process, F: e.F, Key: e.Key, Input: e.Value,
				Node: e.Node, DC: e.DC, Mode: e.Mode, Invoke: e.Time, Return: Pending, Type: Info, Error: "unanswered"})
			continue
		}
		if !running {
			return nil, fmt.Errorf("event %d: process %d completes what it never invoked", e.Index, e.Process)
		}
		op := &ops[at]
		if op.F != e.F || op.Key != e.Key || op.DC != e.DC {
			return nil, fmt.Errorf("event %d: process %d invoked %s %s and completes %s %s",
				e.Index, e.Process, op.F, op.Key, e.F, e.Key)
		}
		op.Type, op.Error, op.Output, op.Current = e.Type, e.Error, e.Value, e.Current
		op.ModifyIndex, op.AgeMS, op.Hops = e.ModifyIndex, e.AgeMS, e.Hops
		if e.Type == Info {
			retired[e.Process] = true
		} else {
			op.Return = e.Time
		}
		delete(open, e.Process)
	}
	return ops, nil
}

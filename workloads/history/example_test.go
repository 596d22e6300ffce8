package history_test

import (
	"fmt"

	"faultline/workloads/history"
)

// A history can be kept in memory, and its events paired to operations.
func ExampleOperations() {
	h := history.NewMemory()
	for _, e := range []history.Event{
		{Process: 0, Type: history.Invoke, F: history.OpWrite, Key: "k", Value: history.Int(7), Node: "a"},
		{Process: 0, Type: history.OK, F: history.OpWrite, Key: "k", Value: history.Int(7)},
		{Process: 1, Type: history.Invoke, F: history.OpRead, Key: "k", Node: "b", Mode: history.ModeStale},
	} {
		if _, err := h.Add(e); err != nil {
			panic(err)
		}
	}
	ops, err := history.Operations(h.Events())
	for _, op := range ops {
		fmt.Println(op.F, op.Key, op.Type)
	}
	fmt.Println(err)
	// Output:
	// write k ok
	// read k info
	// <nil>
}

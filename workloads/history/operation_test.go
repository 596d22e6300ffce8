package history

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// script makes events from short ones: index and time (10 ns apart) are filled in.
func script(events ...Event) []Event {
	for i := range events {
		events[i].Index, events[i].Time = int64(i), int64(10*i)
	}
	return events
}

func TestOperationsArePaired(t *testing.T) {
	hops := []Hop{{Node: "a", Role: "leader"}}
	ops, err := Operations(script(
		Event{Process: Harness, Type: Info, F: FPhase},
		Event{Process: 0, Type: Invoke, F: "write", Key: "k", Value: Int(1), Node: "a"},
		Event{Process: 1, Type: Invoke, F: "read", Key: "k", Node: "b", Mode: "stale"},
		Event{Process: 1, Type: OK, F: "read", Key: "k", Value: Int(1), ModifyIndex: 9, Hops: hops},
		Event{Process: 0, Type: Info, F: "write", Key: "k", Value: Int(1), Error: "timeout"},
		Event{Process: 1, Type: Invoke, F: "cas", Key: "k", Value: Pair(nil, 2), Node: "b"},
		Event{Process: 2, Type: Invoke, F: "read", Key: "k", Node: "c"},
		Event{Process: 1, Type: Fail, F: "cas", Key: "k", Value: Pair(nil, 2), Error: "cas-mismatch", Current: Int(1)},
	))
	require.NoError(t, err)
	require.Equal(t, []Operation{
		{ID: 1, Process: 0, F: "write", Key: "k", Input: Int(1), Output: Int(1), Node: "a", Invoke: 10, Return: Pending, Type: Info, Error: "timeout"},
		{ID: 2, Process: 1, F: "read", Key: "k", Output: Int(1), Node: "b", Mode: "stale", Invoke: 20, Return: 30, Type: OK, ModifyIndex: 9, Hops: hops},
		{ID: 5, Process: 1, F: "cas", Key: "k", Input: Pair(nil, 2), Output: Pair(nil, 2), Current: Int(1), Node: "b", Invoke: 50, Return: 70, Type: Fail, Error: "cas-mismatch"},
		{ID: 6, Process: 2, F: "read", Key: "k", Node: "c", Invoke: 60, Return: Pending, Type: Info, Error: "unanswered"},
	}, ops)
}

func TestOperationsRefusesWhatCannotBe(t *testing.T) {
	invoke := Event{Process: 3, Type: Invoke, F: "read", Key: "k"}
	info := Event{Process: 3, Type: Info, F: "read", Key: "k"}
	ok := Event{Process: 3, Type: OK, F: "read", Key: "k"}
	for want, events := range map[string][]Event{
		"event 1: process 3 invokes while":             {invoke, invoke},
		"event 2: process 3 invokes while":             {invoke, info, invoke},
		"event 0: process 3 completes what it never":   {ok},
		"event 2: process 3 completes what it never":   {invoke, ok, ok},
		"event 1: process 3 invoked read k and comple": {invoke, {Process: 3, Type: OK, F: "read", Key: "j"}},
		"and completes write k":                        {invoke, {Process: 3, Type: OK, F: "write", Key: "k"}},
	} {
		_, err := Operations(script(events...))
		require.ErrorContains(t, err, want)
	}
}

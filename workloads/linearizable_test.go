package workloads

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// register as Porcupine sees it. A state is the JSON of the value. An operation that is
// open may do anything that it was asked to, or, by returning at the end of time, nothing
// that anybody saw.
var registerModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range all {
			key := o.Input.(history.Operation).Key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "null" },
	Step: func(state, input, _ any) (bool, any) {
		o := input.(history.Operation)
		switch o.F {
		case history.OpRead:
			return state == string(o.Output), state
		case history.OpWrite:
			return true, string(o.Input)
		}
		old, value := splitPair(o)
		switch {
		case o.Type == history.Fail:
			return state != old && (o.Current == nil || state == string(o.Current)), state
		case state == old:
			return true, value
		}
		return o.Type == history.Info, state
	},
	Hash: func(state any) uint64 {
		var h uint64
		for _, c := range []byte(state.(string)) {
			h = h*31 + uint64(c)
		}
		return h
	},
}

func splitPair(o history.Operation) (old, value string) {
	was, now, err := history.AsPair(o.Input)
	if err != nil {
		panic(err)
	}
	if was == nil {
		return "null", string(history.Int(now))
	}
	return string(history.Int(*was)), string(history.Int(now))
}

func linearizable(ops []history.Operation) porcupine.CheckResult {
	var all []porcupine.Operation
	for i, o := range ops {
		if o.Type == history.Fail && o.Error != "cas-mismatch" {
			continue
		}
		all = append(all, porcupine.Operation{ClientId: i, Input: o, Call: o.Invoke, Return: o.Return})
	}
	return porcupine.CheckOperationsTimeout(registerModel, all, 30*time.Second)
}

// requireLinearizable demands it, and that no value was written twice.
func requireLinearizable(t *testing.T, ops []history.Operation) {
	t.Helper()
	written := map[string]bool{}
	for _, o := range ops {
		value := string(o.Input)
		switch o.F {
		case history.OpRead:
			continue
		case history.OpCAS:
			_, value = splitPair(o)
		}
		require.False(t, written[value], "%s was written twice", value)
		written[value] = true
	}
	require.Equal(t, porcupine.Ok, linearizable(ops))
}

package checker

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func indexed(f history.Op, value string, index uint64, invoke, ret int64) history.Operation {
	op := history.Operation{F: f, Key: "k", Node: "s1", Type: history.OK, Invoke: invoke, Return: ret, ModifyIndex: index, Mode: "default"}
	op.Input, op.Output = json.RawMessage(value), json.RawMessage(value)
	if f == history.OpCAS {
		op.Input = json.RawMessage("[1," + value + "]")
	}
	return op
}

func gone(f history.Op, key string, index uint64, invoke, ret int64) history.Operation {
	return history.Operation{F: f, Key: key, Node: "s1", Type: history.OK, Invoke: invoke, Return: ret, ModifyIndex: index}
}

// wholeRead is a read that tells all that the store holds of a key.
func wholeRead(value string, index uint64, invoke, ret int64) history.Operation {
	return indexed(history.OpRead, `{"value":`+value+`,"create":1,"modify":9}`, index, invoke, ret)
}

func TestIndex(t *testing.T) {
	mismatch := indexed(history.OpCAS, "9", 3, 30, 40)
	mismatch.Type, mismatch.Current = history.Fail, json.RawMessage("1")
	stale := indexed(history.OpRead, "1", 3, 30, 40)
	stale.Mode = "stale"
	open := indexed(history.OpWrite, "2", 3, 30, history.Pending)
	open.Type = history.Info
	other := indexed(history.OpRead, "1", 3, 30, 40)
	other.Key = "other"
	high := indexed(history.OpWrite, "1", 90, 0, 10)
	for name, c := range map[string]struct {
		ops  []history.Operation
		want Verdict
		why  string
	}{
		"it grows":                   {[]history.Operation{high, indexed(history.OpCAS, "2", 91, 20, 30), indexed(history.OpRead, "2", 91, 40, 50)}, Valid, ""},
		"it falls":                   {[]history.Operation{high, indexed(history.OpRead, "1", 3, 20, 30)}, Invalid, "returned 3 (1)"},
		"it falls in a mismatch":     {[]history.Operation{high, mismatch}, Invalid, "returned 3 (1)"},
		"it falls for a write":       {[]history.Operation{high, indexed(history.OpWrite, "2", 89, 20, 30)}, Invalid, "returned 89 (2)"},
		"at the same time":           {[]history.Operation{high, indexed(history.OpRead, "0", 3, 5, 30)}, Valid, ""},
		"it falls for a stale read":  {[]history.Operation{high, stale}, Valid, ""},
		"no answer has an index":     {[]history.Operation{high, indexed(history.OpRead, "1", 0, 20, 30), open}, Valid, ""},
		"another key":                {[]history.Operation{high, other}, Valid, ""},
		"two values":                 {[]history.Operation{high, indexed(history.OpRead, "2", 90, 5, 30)}, Invalid, "index 90 stands for 1"},
		"two values, by compare-set": {[]history.Operation{high, indexed(history.OpCAS, "2", 90, 5, 30)}, Invalid, "index 90 stands for 1"},
		"deleted and made again":     {[]history.Operation{high, gone(history.OpDelete, "k", 95, 20, 30), indexed(history.OpWrite, "2", 97, 40, 50)}, Valid, ""},
		"of nothing, twice":          {[]history.Operation{gone(history.OpDelete, "k", 95, 20, 30), gone(history.OpDeleteCAS, "k", 95, 40, 50)}, Valid, ""},
		"a deletion without index":   {[]history.Operation{high, gone(history.OpDelete, "k", 0, 20, 30)}, Valid, ""},
		"it falls for a deletion":    {[]history.Operation{high, gone(history.OpDeleteCAS, "k", 89, 20, 30)}, Invalid, "returned 89 (null)"},
		"deleted, and back in time":  {[]history.Operation{gone(history.OpDelete, "k", 95, 20, 30), indexed(history.OpWrite, "2", 3, 40, 50)}, Invalid, "returned 3 (2)"},
		"deleted by prefix":          {[]history.Operation{high, gone(history.OpDeleteTree, "", 95, 20, 30), indexed(history.OpRead, "1", 90, 40, 50)}, Invalid, "k: by 0.000 s its index was 95"},
		"another prefix":             {[]history.Operation{high, gone(history.OpDeleteTree, "kk", 95, 20, 30), indexed(history.OpRead, "1", 90, 40, 50)}, Valid, ""},
		"a value and nothing":        {[]history.Operation{high, gone(history.OpDelete, "k", 90, 5, 30)}, Invalid, "index 90 stands for 1"},
		"entries":                    {[]history.Operation{high, wholeRead("1", 90, 5, 30), wholeRead("1", 90, 20, 30)}, Valid, ""},
		"entries of another value":   {[]history.Operation{high, wholeRead("2", 90, 5, 30)}, Invalid, "and for 2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkIndex(t.Context(), &Run{Ops: c.ops})
			require.Equal(t, c.want, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.why)
		})
	}
}

// TestIndexOfCorrectRegisters draws operations that a register has answered one after the
// other at an instant within their intervals: there is no false alarm.
func TestIndexOfCorrectRegisters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var ops []history.Operation
		index, value := uint64(5), "0"
		for at := int64(0); at < 40; at++ {
			invoke, ret := at*10-rng.Int64N(60), at*10+rng.Int64N(60)
			if rng.IntN(2) == 0 {
				index, value = index+1+rng.Uint64N(3), string(history.Int(at+1))
				ops = append(ops, indexed([]history.Op{history.OpWrite, history.OpCAS}[rng.IntN(2)], value, index, invoke, ret))
				continue
			}
			ops = append(ops, indexed(history.OpRead, value, index, invoke, ret))
		}
		rng.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
		require.Equal(t, Valid, checkIndex(t.Context(), &Run{Ops: ops}).Verdict)
	}
}

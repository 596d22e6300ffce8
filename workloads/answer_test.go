package workloads

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestWhatAStoreHoldsIsRecorded(t *testing.T) {
	for value, want := range map[string]string{
		"0": `0`, "7": `7`, "-12": `-12`, "9223372036854775807": `9223372036854775807`,
		"9223372036854775808": `"9223372036854775808"`,
		"":                    `""`, "-": `"-"`, "-0": `"-0"`, "007": `"007"`, "+7": `"+7"`, " 7": `" 7"`, "7\n": `"7\n"`,
		"1e3": `"1e3"`, "1_000": `"1_000"`, "null": `"null"`, "\xff": `"\ufffd"`,
	} {
		require.Equal(t, want, string(found(Op{}, nodes.Answer{Found: true, Value: value})))
	}
	require.Equal(t, "null", string(found(Op{}, nodes.Answer{Value: "7"})))
	require.Less(t, len(found(Op{}, nodes.Answer{Found: true, Value: strings.Repeat("x", 1<<20)})), 1000)
}

func FuzzFound(f *testing.F) {
	f.Add("12")
	f.Add("-0")
	f.Add("x\x00\xff")
	f.Fuzz(func(t *testing.T, value string) {
		raw := found(Op{}, nodes.Answer{Found: true, Value: value})
		require.True(t, json.Valid(raw))
		n, err := history.AsInt(raw)
		if isInteger(value) {
			require.NoError(t, err)
			require.Equal(t, value, strconv.FormatInt(*n, 10))
		} else {
			require.Error(t, err, "%q reads as %v", value, n)
		}
	})
}

func TestEventsOfAnOperation(t *testing.T) {
	read := Op{Op: nodes.Op{F: history.OpRead, Key: "k1", Mode: history.ModeStale}}
	cas := Op{Op: nodes.Op{F: history.OpCAS, Key: "k1", Value: "4", Index: 9}, Argument: json.RawMessage("[3,4]")}
	hops := []history.Hop{{Node: "a", Role: "leader", MS: 1}}
	for _, c := range []struct {
		op   Op
		a    Outcome
		want history.Event
	}{
		{read, Outcome{Type: history.OK, Answer: nodes.Answer{Value: "5", Found: true, Index: 8, Hops: hops}},
			history.Event{Type: history.OK, Value: json.RawMessage("5"), ModifyIndex: 8, Hops: hops}},
		{read, Outcome{Type: history.OK, Answer: nodes.Answer{Index: 8}},
			history.Event{Type: history.OK, Value: history.Null}},
		{read, Outcome{Type: history.Fail, Error: history.Timeout},
			history.Event{Type: history.Fail, Error: "timeout"}},
		{cas, Outcome{Type: history.OK, Answer: nodes.Answer{Index: 10}},
			history.Event{Type: history.OK, Value: cas.Argument, ModifyIndex: 10}},
		{cas, Outcome{Type: history.Fail, Error: history.CASMismatch},
			history.Event{Type: history.Fail, Value: cas.Argument, Error: "cas-mismatch"}},
		{cas, Outcome{Type: history.Fail, Error: history.CASMismatch, Answer: nodes.Answer{Value: "6", Found: true, Index: 11, HasCurrent: true}},
			history.Event{Type: history.Fail, Value: cas.Argument, Error: "cas-mismatch", Current: json.RawMessage("6"), ModifyIndex: 11}},
		{cas, Outcome{Type: history.Fail, Error: history.CASMismatch, Answer: nodes.Answer{HasCurrent: true}},
			history.Event{Type: history.Fail, Value: cas.Argument, Error: "cas-mismatch", Current: history.Null}},
		{cas, Outcome{Type: history.Info, Error: history.Timeout},
			history.Event{Type: history.Info, Value: cas.Argument, Error: "timeout"}},
	} {
		c.want.Process, c.want.Node, c.want.F, c.want.Key, c.want.Mode = 3, "a", c.op.F, c.op.Key, c.op.Mode
		require.Equal(t, c.want, completion(3, "a", c.op, c.a))
	}
}

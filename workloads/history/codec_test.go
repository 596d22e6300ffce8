package history

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var samples = []struct {
	event Event
	line  string
}{
	{Event{Index: 0, Time: 1000, Process: 0, Type: Invoke, F: "write", Key: "k1", Value: Int(7), Node: "dc1-s1"},
		`{"index":0,"time":1000,"process":0,"type":"invoke","f":"write","key":"k1","value":7,"node":"dc1-s1"}`},
	{Event{Index: 1, Time: 9000, Process: 12, Type: OK, F: "read", Key: "k1", Value: Null, Node: "dc1-c1", Mode: "stale", ModifyIndex: math.MaxUint64,
		Hops: []Hop{{"dc1-c1", "client", 2.5}, {"dc1-s1", "leader", 0}}},
		`{"index":1,"time":9000,"process":12,"type":"ok","f":"read","key":"k1","value":null,"node":"dc1-c1","mode":"stale","index_at":18446744073709551615,"hops":[{"node":"dc1-c1","role":"client","ms":2.5},{"node":"dc1-s1","role":"leader","ms":0}]}`},
	{Event{Index: 2, Time: 9000, Process: 1_000_000_000_000, Type: Fail, F: "cas", Key: "k1", Value: Pair(nil, 3), Error: "cas-mismatch", Current: Int(-5)},
		`{"index":2,"time":9000,"process":1000000000000,"type":"fail","f":"cas","key":"k1","value":[null,3],"error":"cas-mismatch","current":-5}`},
	{Event{Index: 3, Time: 9001, Process: Nemesis, Type: Info, F: "partition \"one\"\n", Value: json.RawMessage(`{"step":0}`)},
		`{"index":3,"time":9001,"process":"nemesis","type":"info","f":"partition \"one\"\n","value":{"step":0}}`},
	{Event{Index: 4, Time: 9002, Process: Observer, Type: Info, F: FObserve, Node: "ß"},
		`{"index":4,"time":9002,"process":"observer","type":"info","f":"observe","node":"ß"}`},
	{Event{Index: 5, Time: 9003, Process: Harness, Type: Info, F: FPhase, Value: json.RawMessage(`"end"`)},
		`{"index":5,"time":9003,"process":"harness","type":"info","f":"phase","value":"end"}`},
}

func TestEventsAreWrittenAndReadBack(t *testing.T) {
	for _, s := range samples {
		require.NoError(t, s.event.check())
		require.Equal(t, s.line+"\n", string(s.event.Append(nil)))
		back, err := ParseEvent([]byte(s.line))
		require.NoError(t, err)
		require.Equal(t, s.event, back)
	}
}

func TestLinesThatAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		`{"index":0,"time":1,"process":0,"type":"ok","wat":1}`:           `unknown field "wat"`,
		`{"time":1,"process":0,"type":"ok"}`:                             "missing",
		`{"index":0,"process":0,"type":"ok"}`:                            "missing",
		`{"index":0,"time":1,"type":"ok"}`:                               "missing",
		`{"index":0,"time":1,"process":0}`:                               `type ""`,
		`{"index":0,"time":1,"process":0,"type":"done"}`:                 `type "done"`,
		`{"index":0,"time":1,"process":-1,"type":"ok"}`:                  "process -1",
		`{"index":0,"time":1,"process":1.5,"type":"ok"}`:                 "process 1.5",
		`{"index":0,"time":1,"process":"gremlin","type":"ok"}`:           "gremlin",
		`{"index":-1,"time":1,"process":0,"type":"ok"}`:                  "negative",
		`{"index":0,"time":9223372036854775807,"process":0,"type":"ok"}`: "never came",
		`{"index":0,"time":-1,"process":0,"type":"ok"}`:                  "negative",
		`{"index":0,"time":1,"process":0,"type":"ok"}{}`:                 "more than one",
		`{"index":0,"time":1,"process":0,"type":"ok"}]`:                  "more than one",
		`{"index":0,"time":1,"process":0,"type":"ok","index_at":-1}`:     "index_at",
		`{"index":0,"time":1,"process":0,"type":"ok"`:                    "unexpected EOF",
		`null`: "missing",
		``:     "EOF",
		`[]`:   "cannot unmarshal",
	} {
		_, err := ParseEvent([]byte(line))
		require.ErrorContains(t, err, want, line)
	}
}

func TestEventsThatAreRefused(t *testing.T) {
	for want, e := range map[string]Event{
		`type ""`:              {},
		"process -5":           {Process: -5, Type: OK},
		"not one line of JSON": {Type: OK, Value: json.RawMessage(`[1,`)},
		"[1,\\n2]":             {Type: OK, Current: json.RawMessage("[1,\n2]")},
		"NaN ms":               {Type: OK, Hops: []Hop{{MS: math.NaN()}}},
	} {
		require.ErrorContains(t, e.check(), want)
	}
}

func TestValues(t *testing.T) {
	n, err := AsInt(Int(math.MinInt64))
	require.NoError(t, err)
	require.EqualValues(t, math.MinInt64, *n)
	n, err = AsInt(Null)
	require.NoError(t, err)
	require.Nil(t, n)
	for _, bad := range []string{`"7"`, `1.5`, `[1]`, ``, `{}`} {
		_, err := AsInt(json.RawMessage(bad))
		require.Error(t, err, bad)
	}

	old := int64(3)
	back, new, err := AsPair(Pair(&old, 4))
	require.NoError(t, err)
	require.EqualValues(t, 3, *back)
	require.EqualValues(t, 4, new)
	back, new, err = AsPair(Pair(nil, 4))
	require.NoError(t, err)
	require.Nil(t, back)
	require.EqualValues(t, 4, new)
	for _, bad := range []string{`7`, `[1]`, `[1,null]`, `[1,2,3]`, `["1",2]`, ``} {
		_, _, err := AsPair(json.RawMessage(bad))
		require.Error(t, err, bad)
	}
}

// What parses is written again to a line that means the same, and that line is final.
func FuzzParseEvent(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := ParseEvent(data)
		if err != nil {
			return
		}
		text := first.Append(nil)
		second, err := ParseEvent(text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, string(text), string(second.Append(nil)))
		if first.check() == nil {
			require.Equal(t, 1, bytes.Count(text, []byte("\n")), "%s", text)
		}
	})
}

// Every event that check lets through reads back as it was.
func FuzzEventRoundTrip(f *testing.F) {
	f.Add(int64(3), "read", "k1", `[1,2]`, "timeout", "dc1-s1", "stale", uint64(9), "7", "leader", 1.5)
	f.Add(int64(-1), "\u2028<>&", "\x00", `{"a":"\n"}`, "\"", "\\", "é", uint64(0), "null", "", math.Inf(1))
	f.Fuzz(func(t *testing.T, process int64, fn, key, value, code, node, mode string, index uint64, current, role string, ms float64) {
		e := Event{Index: 5, Time: 6, Process: Process(process), Type: Info, F: Op(valid(fn)), Key: valid(key), Error: Code(valid(code)),
			Node: valid(node), Mode: Mode(valid(mode)), ModifyIndex: index, Hops: []Hop{{valid(node), Role(valid(role)), ms}}}
		if value != "" {
			e.Value = json.RawMessage(value)
		}
		if current != "" {
			e.Current = json.RawMessage(current)
		}
		if e.check() != nil {
			return
		}
		text := e.Append(nil)
		require.Equal(t, len(text)-1, bytes.IndexByte(text, '\n'), "one line: %q", text)
		back, err := ParseEvent(text)
		require.NoError(t, err, "%s", text)
		e.Value, e.Current = trimmed(e.Value), trimmed(e.Current)
		require.Equal(t, e, back)
	})
}

// valid is what JSON can say of s.
func valid(s string) string { return strings.ToValidUTF8(s, "") }

// trimmed drops the space around a value, which is not part of it.
func trimmed(v json.RawMessage) json.RawMessage {
	if v == nil {
		return nil
	}
	return bytes.TrimSpace(v)
}

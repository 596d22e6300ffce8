package history

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzQuick: what the quick reading takes, the decoder reads to the same event.
func FuzzQuick(f *testing.F) {
	for _, e := range []Event{
		benchEvent,
		{Index: 7, Time: 9, Process: 3, Type: OK, F: OpRead, Key: "k1", Value: Int(-7), Node: "dc1-s1", Mode: ModeStale, ModifyIndex: 12},
		{Type: Invoke, F: OpCAS, Key: "list0", Value: json.RawMessage("[[1,2],[1,2,3]]")},
		{Type: Fail, F: OpCAS, Key: "k1", Value: json.RawMessage("[null,3]"), Error: CASMismatch, Current: Null},
		{Type: Info, F: OpAcquire, Key: "lock0", Value: json.RawMessage(`"3fa-b"`), Error: Timeout},
		{Type: Info, F: FPhase, Process: Harness, Value: json.RawMessage(`"end"`)},
	} {
		f.Add(e.Append(nil))
	}
	f.Add([]byte("{\"index\":0,\"time\":1,\"process\":2,\"type\":\"ok\",\"value\":[[]]}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		quick, ok := newReader().quick(line)
		if !ok {
			return
		}
		slow, err := ParseEvent(line)
		require.NoError(t, err, "%s", line)
		require.Equal(t, slow, quick)
	})
}

// Nearly all lines of a run are read the quick way.
func TestEventsOfClientsAreReadQuickly(t *testing.T) {
	for _, e := range []Event{
		{Index: 7, Time: 9, Process: 3, Type: Invoke, F: OpRead, Key: "k1", Node: "dc1-s1", Mode: ModeDefault},
		{Index: 8, Time: 9, Process: 3, Type: OK, F: OpRead, Key: "k1", Value: Int(7), Node: "dc1-s1", Mode: ModeDefault, ModifyIndex: 12},
		{Index: 9, Time: 9, Process: 3, Type: Fail, F: OpCAS, Key: "k1", Value: Pair(nil, 3), Error: CASMismatch, Current: Int(4), ModifyIndex: 3},
	} {
		got, ok := newReader().quick(e.Append(nil))
		require.True(t, ok, "%s", e.Append(nil))
		require.Equal(t, e, got)
	}
}

// What one line left in memory, the next does not change.
func TestValuesAreKeptApart(t *testing.T) {
	r := newReader()
	first, err := r.parse([]byte("{\"index\":0,\"time\":1,\"process\":2,\"type\":\"ok\",\"value\":7}\n"))
	require.NoError(t, err)
	second, err := r.parse([]byte("{\"index\":0,\"time\":1,\"process\":2,\"type\":\"ok\",\"value\":8}\n"))
	require.NoError(t, err)
	_ = append(first.Value, '9')
	require.Equal(t, "7", string(first.Value))
	require.Equal(t, "8", string(second.Value))
}

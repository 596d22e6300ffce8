package kv

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppend(t *testing.T) {
	s := NewStore()
	require.True(t, apply(s, 3, Command{Op: Append, Key: "l", Value: []byte("1")}).OK, "an absent key holds an empty list")
	require.True(t, apply(s, 5, Command{Op: Append, Key: "l", Value: []byte(` {"a": 2} `)}).OK)
	require.Equal(t, Entry{Key: "l", Value: []byte(`[1,{"a":2}]`), CreateIndex: 3, ModifyIndex: 5}, one(t, s, "l"))
	require.True(t, apply(s, 6, Command{Op: Append, Key: "l", Value: []byte("1")}).OK, "once more, not at most once")
	require.Equal(t, `[1,{"a":2},1]`, string(one(t, s, "l").Value))

	apply(s, 7, Command{Op: Put, Key: "text", Value: []byte("[x]"), Flags: 9})
	for key, value := range map[string]string{"text": "1", "l": "1,2"} {
		r := apply(s, 8, Command{Op: Append, Key: key, Value: []byte(value)})
		require.False(t, r.OK)
		require.NotEmpty(t, r.Err)
	}
	require.Equal(t, uint64(6), one(t, s, "l").ModifyIndex, "nothing was done")
	apply(s, 9, Command{Op: Put, Key: "empty", Value: []byte("[]"), Flags: 9})
	apply(s, 10, Command{Op: Append, Key: "empty", Value: []byte("7")})
	require.Equal(t, Entry{Key: "empty", Value: []byte("[7]"), Flags: 9, CreateIndex: 9, ModifyIndex: 10}, one(t, s, "empty"))

	long := strings.Repeat("1,", MaxList/2-2) + "1"
	_, err := appended([]byte("["+long+"]"), []byte("12"))
	require.ErrorContains(t, err, "longer")
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("[1,2]"), []byte("3"))
	f.Add([]byte(""), []byte(`"x"`))
	f.Add([]byte("[1]]"), []byte("1,2"))
	f.Add([]byte("[ ]"), []byte("1"))
	f.Fuzz(func(t *testing.T, list, element []byte) {
		out, err := appended(list, element)
		if err != nil {
			return
		}
		var before, after []json.RawMessage
		if len(list) > 0 {
			require.NoError(t, json.Unmarshal(list, &before))
		}
		require.NoError(t, json.Unmarshal(out, &after))
		require.Len(t, after, len(before)+1)
		require.JSONEq(t, string(element), string(after[len(before)]))
	})
}

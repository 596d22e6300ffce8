package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestKeysThatBeginWithAPrefixAreARange(t *testing.T) {
	for prefix, end := range map[string]string{"": "\x00", "a": "b", "a/": "a0", "a\xff": "b", "\xff\xff": "\x00"} {
		_, to := keysFrom(prefix)
		require.Equal(t, end, string(to), "%q", prefix)
	}
	from, _ := keysFrom("")
	require.Equal(t, "\x00", string(from))
}

func TestListAndDelete(t *testing.T) {
	c := serve(t, said{path: "/v3/kv/range", body: `{"key":"YS8=","range_end":"YTA="}`,
		answer: `{` + someHeader + `,"kvs":[{"key":"YS8x","mod_revision":"5","create_revision":"4","value":"NDI="},{"key":"YS8y","mod_revision":"6","create_revision":"6","lease":"8"}],"count":"2"}`})
	list, err := c.List(t.Context(), "a/", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Found: true, Next: 7, Entries: []history.Entry{
		{Key: "a/1", Value: "42", CreateIndex: 4, ModifyIndex: 5}, {Key: "a/2", CreateIndex: 6, ModifyIndex: 6, Session: "8"}}}, list)
	_, err = serve(t, said{path: "/v3/kv/range", answer: `{` + someHeader + `,"kvs":[{"key":"YS8x"}]}`}).List(t.Context(), "a/", history.ModeDefault)
	requireCode(t, history.Unknown, err)

	for op, body := range map[history.Op]string{
		history.OpDelete:     `{"key":"YS8="}`,
		history.OpDeleteTree: `{"key":"YS8=","range_end":"YTA="}`,
	} {
		gone, err := serve(t, said{path: "/v3/kv/deleterange", body: body, answer: `{` + someHeader + `,"deleted":"1"}`}).Do(t.Context(), nodes.Op{F: op, Key: "a/"})
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Index: 7}, gone)
	}

	const condition = `{"compare":[{"key":"azE=","target":"MOD","result":"EQUAL","mod_revision":"4"}],"success":[{"request_delete_range":{"key":"azE="}}],"failure":[{"request_range":{"key":"azE="}}]}`
	gone, err := serve(t, said{path: "/v3/kv/txn", body: condition, answer: `{` + someHeader + `,"succeeded":true}`}).DeleteCAS(t.Context(), "k1", 4)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Index: 7}, gone)
	was, err := serve(t, said{path: "/v3/kv/txn", answer: `{` + someHeader + `,"responses":[{"response_range":{}}]}`}).DeleteCAS(t.Context(), "k1", 4)
	requireCode(t, history.CASMismatch, err)
	require.Equal(t, nodes.Answer{HasCurrent: true}, was)
	_, err = serve(t).DeleteCAS(t.Context(), "k1", 0)
	requireCode(t, history.BadRequest, err)
}

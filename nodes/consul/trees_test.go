package consul

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestListings(t *testing.T) {
	for body, want := range map[string]nodes.Answer{
		`[{"Key":"a/1","Value":"NDI=","CreateIndex":4,"ModifyIndex":5},{"Key":"a/2","Value":null,"CreateIndex":6,"ModifyIndex":6,"LockIndex":1,"Session":"s"}]`: {
			Found: true, Next: 90, Entries: []history.Entry{{Key: "a/1", Value: "42", CreateIndex: 4, ModifyIndex: 5},
				{Key: "a/2", CreateIndex: 6, ModifyIndex: 6, LockIndex: 1, Session: "s"}}},
		`[{"Key":"a/1"}]`: {}, `{}`: {}, `[{"Key":"a/1","ModifyIndex":5,"Value":"?"}]`: {},
	} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/v1/kv/a/", r.URL.Path)
			require.Equal(t, "recurse&stale", r.URL.RawQuery)
			w.Header().Set(nodes.HeaderIndex, "90")
			io.WriteString(w, body)
		})
		list, err := c.List(t.Context(), "a/", history.ModeStale)
		require.Equal(t, want, list)
		if !want.Found {
			require.Equal(t, history.Unknown, nodes.CodeOf(err))
		}
	}
}

func TestWatchesAreBlockingQueries(t *testing.T) {
	for since, query := range map[uint64]string{0: "consistent", 7: "index=7&wait=1m30s&consistent"} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, query, r.URL.RawQuery)
			w.Header().Set(nodes.HeaderIndex, "9")
			io.WriteString(w, `[{"Key":"k1","Value":"NDI=","CreateIndex":4,"ModifyIndex":9}]`)
		})
		seen, err := c.Watch(t.Context(), "k1", since, 90*time.Second, history.ModeConsistent)
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Value: "42", Found: true, Index: 9, Next: 9, Entry: history.Entry{Value: "42", CreateIndex: 4, ModifyIndex: 9}}, seen)
	}
}

func TestDeletions(t *testing.T) {
	for _, test := range []struct {
		op          nodes.Op
		path, query string
		body        string
		code        history.Code
	}{
		{nodes.Op{F: history.OpDelete, Key: "a/1"}, "/v1/kv/a/1", "", "true", ""},
		{nodes.Op{F: history.OpDelete, Key: "a/1"}, "/v1/kv/a/1", "", "false", history.Unknown},
		{nodes.Op{F: history.OpDeleteTree, Key: "a/"}, "/v1/kv/a/", "recurse", "true", ""},
		{nodes.Op{F: history.OpDeleteCAS, Key: "a/1", Index: 7}, "/v1/kv/a/1", "cas=7", "true", ""},
		{nodes.Op{F: history.OpDeleteCAS, Key: "a/1", Index: 7}, "/v1/kv/a/1", "cas=7", "false", history.CASMismatch},
		{nodes.Op{F: history.OpDeleteCAS, Key: "a/1"}, "", "", "", history.BadRequest},
		{nodes.Op{F: history.OpDelete}, "", "", "", history.BadRequest},
	} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, http.MethodDelete, r.Method)
			require.Equal(t, test.path, r.URL.Path)
			require.Equal(t, test.query, r.URL.RawQuery)
			w.Header().Set(nodes.HeaderIndex, "90")
			io.WriteString(w, test.body)
		})
		gone, err := c.Do(t.Context(), test.op)
		if test.code != "" {
			require.Equal(t, test.code, nodes.CodeOf(err), "%v", err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Index: 90}, gone)
	}
}

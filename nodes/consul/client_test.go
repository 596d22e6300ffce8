package consul

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// methods are all that a client can do.
type methods struct {
	nodes.Methods
	nodes.Leaders
	nodes.Leaver
	nodes.Members
}

func newMethods(at nodes.Endpoint, options ClientOptions) methods {
	c := NewClient(at, options)
	return methods{nodes.Methods{Conn: c}, c.(nodes.Leaders), c.(nodes.Leaver), c.(nodes.Members)}
}

// serve answers every request with f and returns a client of it.
func serve(t *testing.T, options ClientOptions, f http.HandlerFunc) methods {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c := newMethods(nodes.TCP(strings.TrimPrefix(server.URL, "http://")), options)
	t.Cleanup(c.Close)
	return c
}

func TestGet(t *testing.T) {
	for mode, query := range map[history.Mode]string{history.ModeDefault: "", history.ModeConsistent: "consistent", history.ModeStale: "stale"} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, http.MethodGet, r.Method)
			require.Equal(t, "/v1/kv/k1", r.URL.Path)
			require.Equal(t, query, r.URL.RawQuery)
			require.Empty(t, r.Header.Get(nodes.HeaderWantHops))
			w.Header().Set(nodes.HeaderIndex, "90")
			w.Header().Set(nodes.HeaderLastContact, "12")
			fmt.Fprintf(w, `[{"LockIndex":3,"Key":"k1","Flags":0,"Value":%q,"CreateIndex":5,"ModifyIndex":7,"Session":"s"}]`,
				base64.StdEncoding.EncodeToString([]byte("42")))
		})
		item, err := c.Get(t.Context(), "k1", mode)
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Value: "42", Found: true, Index: 7, Next: 90, LastSeen: 12 * time.Millisecond,
			Entry: history.Entry{Value: "42", CreateIndex: 5, ModifyIndex: 7, LockIndex: 3, Session: "s"}}, item)
	}
}

func TestGetOfAnAbsentKey(t *testing.T) {
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(nodes.HeaderIndex, "90")
		w.WriteHeader(http.StatusNotFound)
	})
	item, err := c.Get(t.Context(), "k1", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Next: 90}, item)
	item, err = c.List(t.Context(), "", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Next: 90}, item)
}

func TestHopsOnlyWhenAsked(t *testing.T) {
	c := serve(t, ClientOptions{Hops: true}, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "1", r.Header.Get(nodes.HeaderWantHops))
		w.Header().Set(nodes.HeaderHops, `[{"node":"c1","role":"client","ms":2.5},{"node":"s1","role":"leader","ms":1}]`)
		io.WriteString(w, "true")
	})
	item, err := c.Put(t.Context(), "k1", "1")
	require.NoError(t, err)
	require.Equal(t, []history.Hop{{Node: "c1", Role: "client", MS: 2.5}, {Node: "s1", Role: "leader", MS: 1}}, item.Hops)
}

func TestKeysAreEscaped(t *testing.T) {
	for _, key := range []string{"a/b", "a//b", "a b?c#d%e", "../x", "ü"} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/v1/kv/"+key, r.URL.Path)
			io.WriteString(w, "true")
		})
		_, err := c.Put(t.Context(), key, "")
		require.NoError(t, err)
	}
}

func TestPut(t *testing.T) {
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, http.MethodPut, r.Method)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, "17", string(body))
		w.Header().Set(nodes.HeaderIndex, "90")
		io.WriteString(w, "true\n")
	})
	item, err := c.Put(t.Context(), "k1", "17")
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Value: "17", Found: true, Index: 90}, item)
}

func TestCAS(t *testing.T) {
	for name, test := range map[string]struct {
		headers map[string]string
		body    string
		item    nodes.Answer
		code    history.Code
	}{
		"written":             {map[string]string{nodes.HeaderIndex: "91"}, "true", nodes.Answer{Value: "17", Found: true, Index: 91}, ""},
		"written by a Consul": {nil, "true", nodes.Answer{Value: "17", Found: true}, ""},
		"refused by a Consul": {nil, "false", nodes.Answer{}, history.CASMismatch},
		"refused": {map[string]string{nodes.HeaderCurrentIndex: "8", nodes.HeaderCurrentValue: "NDI="}, "false",
			nodes.Answer{HasCurrent: true, Found: true, Index: 8, Value: "42"}, history.CASMismatch},
		"refused, absent": {map[string]string{nodes.HeaderCurrentIndex: "0"}, "false",
			nodes.Answer{HasCurrent: true}, history.CASMismatch},
		"nonsense": {map[string]string{nodes.HeaderCurrentIndex: "x"}, "false", nodes.Answer{}, history.Unknown},
		"absent with a value": {map[string]string{nodes.HeaderCurrentIndex: "0", nodes.HeaderCurrentValue: "NDI="}, "false",
			nodes.Answer{}, history.Unknown},
		"neither": {nil, "maybe", nodes.Answer{}, history.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "cas=7", r.URL.RawQuery)
				for k, v := range test.headers {
					w.Header().Set(k, v)
				}
				io.WriteString(w, test.body)
			})
			item, err := c.CAS(t.Context(), "k1", "17", 7)
			require.Equal(t, test.item, item)
			if test.code == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, test.code, nodes.CodeOf(err))
			}
		})
	}
}

func TestWhatMakesNoSense(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"no JSON":          {200, "<html>"},
		"no entry":         {200, "[]"},
		"two entries":      {200, `[{"Key":"k1","ModifyIndex":1},{"Key":"k1","ModifyIndex":1}]`},
		"another key":      {200, `[{"Key":"k2","ModifyIndex":1}]`},
		"no index":         {200, `[{"Key":"k1"}]`},
		"no base64":        {200, `[{"Key":"k1","ModifyIndex":1,"Value":"!"}]`},
		"no such page":     {404, "404 page not found"},
		"a redirect":       {301, ""},
		"nothing at all":   {204, ""},
		"an unknown error": {500, "the dog ate it"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			_, err := c.Get(t.Context(), "k1", history.ModeDefault)
			require.Equal(t, history.Unknown, nodes.CodeOf(err))
			_, err = c.Put(t.Context(), "k1", "1")
			require.Equal(t, history.Unknown, nodes.CodeOf(err))
		})
	}
}

func TestBadRequestsAreNotSent(t *testing.T) {
	c := newMethods(nodes.TCP("127.0.0.1:1"), ClientOptions{})
	_, err := c.Get(t.Context(), "", history.ModeDefault)
	require.Equal(t, history.BadRequest, nodes.CodeOf(err))
	_, err = c.Get(t.Context(), "k1", "fresh")
	require.Equal(t, history.BadRequest, nodes.CodeOf(err))
}

func TestLeaveAndTransfer(t *testing.T) {
	var asked []string
	answer := `{"Success":true}`
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		io.WriteString(w, answer)
	})
	require.NoError(t, c.Leave(t.Context()))
	require.NoError(t, c.Transfer(t.Context(), ""))
	require.NoError(t, c.Transfer(t.Context(), "dc1-s2"))
	answer = `{"Success":false}`
	require.Equal(t, history.Unknown, nodes.CodeOf(c.Transfer(t.Context(), "dc1-s2")))
	require.Equal(t, []string{
		"PUT /v1/agent/leave",
		"POST /v1/operator/raft/transfer-leader",
		"POST /v1/operator/raft/transfer-leader?id=dc1-s2",
		"POST /v1/operator/raft/transfer-leader?id=dc1-s2",
	}, asked)
}

func TestObserve(t *testing.T) {
	consulServer := `{"Config":{"NodeName":"s1"},"Stats":{"raft":{"state":"%s","term":"3","commit_index":"11",` +
		`"applied_index":"10","last_log_index":"12"},"consul":{"leader_addr":"10.0.0.2:8300"}}}`
	for name, test := range map[string]struct {
		self string
		want history.Observation
	}{
		"reference server": {`{"Raft":{"Boot":"b1","State":"Follower","Leader":"s2","Term":3,"Commit":11,"Applied":10,"Last":12},"Stats":{"raft":{}}}`,
			history.Observation{BootID: "b1", State: "Follower", Leader: "s2", Term: 3, Commit: 11, Applied: 10, Last: 12}},
		"reference leader": {`{"Raft":{"Boot":"b1","State":"Leader","Leader":"s1","Term":3}}`,
			history.Observation{BootID: "b1", State: "Leader", Leader: "s1", Term: 3}},
		"reference client": {`{"Raft":{"Boot":"b1"}}`, history.Observation{BootID: "b1"}},
		"Consul, follower": {fmt.Sprintf(consulServer, "Follower"),
			history.Observation{State: "Follower", Leader: "s2", Term: 3, Commit: 11, Applied: 10, Last: 12}},
		"Consul, leader": {fmt.Sprintf(consulServer, "Leader"),
			history.Observation{State: "Leader", Leader: "s1", Term: 3, Commit: 11, Applied: 10, Last: 12}},
		"Consul, client": {`{"Config":{"NodeName":"c1"},"Stats":{"consul":{"known_servers":"3"}}}`, history.Observation{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/v1/agent/self":
					io.WriteString(w, test.self)
				case "/v1/agent/members":
					io.WriteString(w, `[{"Name":"s1","Addr":"10.0.0.1"},{"Name":"s2","Addr":"10.0.0.2"}]`)
				}
			})
			o, err := c.Observe(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, o)
		})
	}
}

func TestObserveOfNonsense(t *testing.T) {
	for _, body := range []string{"<html>", `{"Stats":{"raft":{"term":"x"}}}`} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		_, err := c.Observe(t.Context())
		require.Equal(t, history.Unknown, nodes.CodeOf(err))
	}
}

func TestManyAtOnceShareConnections(t *testing.T) {
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "true") })
	errs := make(chan error)
	for range 50 {
		go func() {
			var err error
			for range 5 {
				if err == nil {
					_, err = c.Put(context.Background(), "k1", "1")
				}
			}
			errs <- err
		}()
	}
	for range 50 {
		require.NoError(t, <-errs)
	}
}

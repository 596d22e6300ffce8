package declared

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

const overHTTP = `
name: x
program: /x
port: 80
api: http
settings: {token: t0k3n}
http:
  read:
    path: /kv/{{urlquery .Key}}?mode={{.Mode}}
    headers: {X-Token: "{{.Settings.token}}"}
    answers:
      - {status: 200, is: ok}
      - {status: 404, body: "no such key", is: absent}
      - {status: 503, body: "^starting$", is: fail}
    value: {json: /item/value}
    index: {json: /item/index}
  modes:
    stale: {path: "/stale/{{.Key}}", value: {trim: true}, index: {header: X-Index}}
  write:
    method: POST
    path: /kv/{{.Key}}
    body: '{"value": {{json .Value}}}'
    answers:
      - {status: 200, is: ok}
      - {status: 400, is: fail}
      - {status: 500, is: info}
  cas:
    path: /kv/{{.Key}}
    headers: {If-Match: "{{if .Absent}}absent{{else}}{{.Index}}{{end}}"}
    body: '{{base64 .Value}} for {{.Old}}'
    answers:
      - {status: 200, body: "^true$", is: ok}
      - {status: 200, body: "^false$", is: mismatch}
`

// against is a client of a file's system, whose node is a handler.
func against(t *testing.T, file string, h http.HandlerFunc) nodes.Conn {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return clientOf(t, file, server.Listener.Addr().String())
}

func clientOf(t *testing.T, file, addr string) nodes.Conn {
	t.Helper()
	system, err := New("x.yaml", []byte(file), nil)
	require.NoError(t, err)
	conn := system.Open(nodes.TCP(addr))
	t.Cleanup(conn.Close)
	return conn
}

var (
	read  = nodes.Op{F: history.OpRead, Key: "a b", Mode: history.ModeDefault}
	stale = nodes.Op{F: history.OpRead, Key: "k1", Mode: history.ModeStale}
	write = nodes.Op{F: history.OpWrite, Key: "k1", Value: "7"}
	cas   = nodes.Op{F: history.OpCAS, Key: "k1", Value: "8", Index: 3, Old: "7"}
	first = nodes.Op{F: history.OpCAS, Key: "k1", Value: "8"}
)

func TestRequestsAreWhatTheFileSays(t *testing.T) {
	for _, c := range []struct {
		op   nodes.Op
		want string
	}{
		{read, `GET /kv/a+b?mode=default X-Token=t0k3n If-Match= ""`},
		{stale, `GET /stale/k1 X-Token=t0k3n If-Match= ""`},
		{write, `POST /kv/k1 X-Token= If-Match= "{\"value\": \"7\"}"`},
		{cas, `PUT /kv/k1 X-Token= If-Match=3 "OA== for 7"`},
		{first, `PUT /kv/k1 X-Token= If-Match=absent "OA== for "`},
	} {
		var got string
		conn := against(t, overHTTP, func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			got = fmt.Sprintf("%s %s X-Token=%s If-Match=%s %q", r.Method, r.RequestURI, r.Header.Get("X-Token"), r.Header.Get("If-Match"), body)
			if err != nil {
				got = err.Error()
			}
		})
		_, _ = conn.Do(t.Context(), c.op) // what is answered means nothing here
		require.Equal(t, c.want, got)
	}
}

func TestAnswersMeanWhatTheFileSays(t *testing.T) {
	const item = `{"item": {"value": "7", "index": 12}}`
	for _, c := range []struct {
		name   string
		op     nodes.Op
		status int
		body   string
		want   nodes.Answer
		code   history.Code // empty for none
	}{
		{"a value", read, 200, item, nodes.Answer{Found: true, Value: "7", Index: 12}, ""},
		{"a number", read, 200, `{"item": {"value": 7, "index": "12"}}`, nodes.Answer{Found: true, Value: "7", Index: 12}, ""},
		{"absent", read, 404, "no such key: k1", nodes.Answer{}, ""},
		{"a row whose body does not match", read, 404, "no such page", nodes.Answer{}, history.Unknown},
		{"a row that says fail", read, 503, "starting", nodes.Answer{}, history.Rejected},
		{"a row that says fail, of another body", read, 503, "starting up", nodes.Answer{}, history.Unknown},
		{"no JSON", read, 200, "7", nodes.Answer{}, history.Unknown},
		{"two of them", read, 200, item + item, nodes.Answer{}, history.Unknown},
		{"nothing at the pointer", read, 200, `{"item": {"index": 12}}`, nodes.Answer{}, history.Unknown},
		{"null at the pointer", read, 200, `{"item": {"value": null, "index": 12}}`, nodes.Answer{}, history.Unknown},
		{"a list at the pointer", read, 200, `{"item": {"value": [7], "index": 12}}`, nodes.Answer{}, history.Unknown},
		{"no index", read, 200, `{"item": {"value": "7"}}`, nodes.Answer{}, history.Unknown},
		{"an index that is none", read, 200, `{"item": {"value": "7", "index": 0}}`, nodes.Answer{}, history.Unknown},
		{"a negative index", read, 200, `{"item": {"value": "7", "index": -1}}`, nodes.Answer{}, history.Unknown},
		{"a whole body", stale, 200, " 7\n", nodes.Answer{Found: true, Value: "7", Index: 5}, ""},
		{"a write", write, 200, "", nodes.Answer{Found: true, Value: "7"}, ""},
		{"a write that was refused", write, 400, "", nodes.Answer{}, history.Rejected},
		{"a write that is open", write, 500, "", nodes.Answer{}, history.Unknown},
		{"a write that no row names", write, 418, "", nodes.Answer{}, history.Unknown},
		{"a redirect", write, 307, "", nodes.Answer{}, history.Unknown},
		{"a compare", cas, 200, "true", nodes.Answer{Found: true, Value: "8"}, ""},
		{"a compare that failed", cas, 200, "false", nodes.Answer{}, history.CASMismatch},
		{"a compare of which nobody knows", cas, 200, "maybe", nodes.Answer{}, history.Unknown},
		{"another mode", nodes.Op{F: history.OpRead, Key: "k1", Mode: "consistent"}, 200, item, nodes.Answer{}, history.BadRequest},
		{"another operation", nodes.Op{F: history.OpAcquire, Key: "k1"}, 200, item, nodes.Answer{}, history.BadRequest},
		{"a compare with an index that nobody was told", nodes.Op{F: history.OpCAS, Key: "k1", Value: "8", Old: "7"}, 200, "true", nodes.Answer{}, history.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := against(t, overHTTP, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Index", "5")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body) // a client that has gone says so itself
			})
			got, err := conn.Do(t.Context(), c.op)
			require.Equal(t, c.want, got)
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Equal(t, c.code, nodes.CodeOf(err), "%v", err)
		})
	}
}

// Only what certainly was not sent is definite, beside what the file calls so.
func TestWhatIsLostIsIndefinite(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	_, err = clientOf(t, overHTTP, gone.Addr().String()).Do(t.Context(), write)
	require.Equal(t, history.Refused, nodes.CodeOf(err))
	require.True(t, nodes.CodeOf(err).Definite())

	var requests atomic.Int64
	conn := against(t, overHTTP, func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler) // which cuts the connection
	})
	_, err = conn.Do(t.Context(), write)
	require.Equal(t, history.ConnectionLost, nodes.CodeOf(err))
	require.EqualValues(t, 1, requests.Load(), "it was sent once")

	held := make(chan struct{})
	conn = against(t, overHTTP, func(http.ResponseWriter, *http.Request) { <-held })
	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = conn.Do(limited, write)
	close(held)
	require.Equal(t, history.Timeout, nodes.CodeOf(err))
}

func TestNodesAreReady(t *testing.T) {
	for _, c := range []struct {
		ready string
		code  history.Code
	}{
		{"", ""}, {"ready: tcp", ""}, {"ready: /good", ""}, {"ready: /bad", history.NotReady},
	} {
		conn := against(t, overHTTP+c.ready, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/kv/"+readyKey:
				http.Error(w, "no such key", http.StatusNotFound)
			case r.URL.Path != "/good":
				http.Error(w, "", http.StatusServiceUnavailable)
			}
		})
		seen, err := conn.Observe(t.Context())
		require.Zero(t, seen)
		if c.code == "" {
			require.NoError(t, err, c.ready)
			continue
		}
		require.Equal(t, c.code, nodes.CodeOf(err), c.ready)
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	for _, ready := range []string{"", "ready: tcp", "ready: /good"} {
		_, err := clientOf(t, overHTTP+ready, gone.Addr().String()).Observe(t.Context())
		require.Error(t, err, ready)
	}
}

func TestLeadersAreRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		leader string
		body   string
		want   history.Observation // of dc1-s1, 10.0.0.1
		wrong  bool
	}{
		{"itself", "{path: /l}", "dc1-s1\n", history.Observation{State: history.Leader, Leader: "dc1-s1"}, false},
		{"another", "{path: /l, json: /raft/leader}", `{"raft": {"leader": "dc1-s2"}}`, history.Observation{State: history.Follower, Leader: "dc1-s2"}, false},
		{"nobody", "{path: /l, json: /leader}", `{"leader": null}`, history.Observation{State: history.Follower}, false},
		{"nobody, in a word", "{path: /l, nobody: none}", "none", history.Observation{State: history.Follower}, false},
		{"a stranger", "{path: /l}", "dc9-s9", history.Observation{}, true},
		{"an address", "{path: /l, says: address}", "10.0.0.1:8300", history.Observation{State: history.Leader, Leader: "dc1-s1"}, false},
		{"a URL", "{path: /l, says: address}", "http://10.0.0.3:8300/", history.Observation{State: history.Follower, Leader: "dc1-s3"}, false},
		{"an unknown address", "{path: /l, says: address}", "10.0.0.9", history.Observation{}, true},
		{"by an expression", `{path: /l, matches: 'leader=(\S+)'}`, "term=3 leader=dc1-s3 x", history.Observation{State: history.Follower, Leader: "dc1-s3"}, false},
		{"an expression that does not match", `{path: /l, matches: 'leader=(\S+)'}`, "term=3", history.Observation{State: history.Follower}, false},
		{"its role", "{path: /l, json: /leads, says: role}", `{"leads": true}`, history.Observation{State: history.Leader, Leader: "dc1-s1"}, false},
		{"another role", "{path: /l, says: role, leads: master}", "slave", history.Observation{State: history.Follower}, false},
		{"no JSON", "{path: /l, json: /leader}", "dc1-s1", history.Observation{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, c.body) // a client that has gone says so itself
			}))
			defer server.Close()
			system, err := New("x.yaml", []byte(overHTTP+"ready: tcp\nleader: "+c.leader), nil)
			require.NoError(t, err)
			_, err = system.Launch(t.Context(), trialStarts(nodes.Founder)[0])
			require.NoError(t, err)
			at := nodes.TCP(server.Listener.Addr().String())
			at.Node = "dc1-s1"
			conn := system.Open(at)
			defer conn.Close()
			seen, err := conn.Observe(t.Context())
			require.Equal(t, c.want, seen)
			require.Equal(t, c.wrong, err != nil, "%v", err)
		})
	}
}

// Consul answers a write without an index.
func TestKeysOfConsul(t *testing.T) {
	conn := against(t, "{name: x, program: /x, port: 80, api: consul-kv}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.WriteString(w, "true") // a client that has gone says so itself
			return
		}
		w.Header().Set(nodes.HeaderIndex, "9")
		_, _ = io.WriteString(w, `[{"Key":"k1","Value":"Nw==","ModifyIndex":7}]`)
	})
	got, err := conn.Do(t.Context(), write)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Found: true, Value: "7"}, got)
	got, err = conn.Do(t.Context(), stale)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Found: true, Value: "7", Index: 7, Next: 9, Entry: history.Entry{Value: "7", ModifyIndex: 7}}, got)
}

func TestKeysOfEtcd(t *testing.T) {
	conn := against(t, "{name: x, program: /x, port: 80, api: etcd-kv, ready: /health}", func(w http.ResponseWriter, r *http.Request) {
		said := map[string]string{
			"/health":      `{"health":"true"}`,
			"/v3/kv/put":   `{"header":{"member_id":"1","revision":"9"}}`,
			"/v3/kv/range": `{"header":{"member_id":"1","revision":"9"},"kvs":[{"key":"azE=","mod_revision":"7","value":"Nw=="}],"count":"1"}`,
		}[r.URL.Path]
		_, _ = io.WriteString(w, said) // a client that has gone says so itself
	})
	_, err := conn.Observe(t.Context())
	require.NoError(t, err)
	got, err := conn.Do(t.Context(), write)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Found: true, Value: "7", Index: 9}, got)
	got, err = conn.Do(t.Context(), nodes.Op{F: history.OpRead, Key: "k1", Mode: history.ModeDefault})
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Found: true, Value: "7", Index: 7, Next: 9, Entry: history.Entry{Value: "7", ModifyIndex: 7}}, got)
}

func TestPointers(t *testing.T) {
	const document = `{"a/b": [10, {"m~n": "x"}], "": true, "n": null, "big": 12345678901234567890, "~1": "z"}`
	for pointer, want := range map[string]string{
		"/a~1b/0": "10", "/a~1b/1/m~0n": "x", "/": "true", "/big": "12345678901234567890", "/~01": "z",
		"/n": "", "/a~1b/2": "", "/a~1b/00": "", "/a~1b/-": "", "/a~1b/0/x": "", "/none": "",
	} {
		found, there, err := atPointer([]byte(document), pointer)
		require.NoError(t, err, pointer)
		require.Equal(t, want, found, pointer)
		require.Equal(t, want != "", there, pointer)
	}
	_, _, err := atPointer([]byte(document), "/a~1b")
	require.Error(t, err)
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"item": {"value": "7", "index": 12}}`), "/item/value", "5")
	f.Add(404, []byte("no such key"), "/a~1b/0", "")
	f.Add(200, []byte(`[[["x"]]]`), "/0/0/0", "18446744073709551616")
	system, err := New("x.yaml", []byte(overHTTP), nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, status int, body []byte, pointer, index string) {
		if status < 100 || status > 999 {
			return
		}
		header := http.Header{"X-Index": {index}}
		for _, op := range []nodes.Op{read, stale, write, cas, first} {
			answers := system.requests[kindOf(op)].answers
			answers.value.JSON = pointer
			a, err := answers.read(op, webAnswer(status, header, body))
			if err != nil {
				require.Zero(t, a)
				continue
			}
			require.Contains(t, []int{200, 404}, status)
			require.Equal(t, status == 200, a.Found)
			if op.F == history.OpRead && a.Found {
				require.NotZero(t, a.Index)
			}
		}
		if found, there, err := atPointer(body, pointer); !there || err != nil {
			require.Empty(t, found)
		}
	})
}

func TestTextsOfAnswers(t *testing.T) {
	for _, c := range []struct {
		part  Part
		body  string
		want  string
		wrong string
	}{
		{Part{}, " 7\n", " 7\n", ""},
		{Part{Trim: true}, " 7\n", "7", ""},
		{Part{Base64: true}, "Nw==", "7", ""},
		{Part{Base64: true}, "Nw", "", "illegal base64"},
		{Part{Header: "X-Value"}, "", "v", ""},
		{Part{Header: "X-None"}, "", "", "0 headers"},
		{Part{Header: "X-Two"}, "", "", "2 headers"},
	} {
		header := http.Header{"X-Value": {"v"}, "X-Two": {"a", "b"}}
		got, err := c.part.text(webAnswer(200, header, []byte(c.body)))
		require.Equal(t, c.want, got)
		if c.wrong == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.wrong)
		}
	}
}

func webAnswer(status int, header http.Header, body []byte) web.Answer {
	return web.Answer{Status: status, Header: header, Body: body}
}

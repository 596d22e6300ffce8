package etcd

import (
	"encoding/json"
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

// said is a request as a node got it, and what it answers.
type said struct {
	path, body string
	status     int // 0: 200
	answer     string
}

const someHeader = `"header":{"cluster_id":"1","member_id":"10","revision":"7","raft_term":"2"}`

// serve answers requests one after the other, which must be as told.
func serve(t *testing.T, all ...said) *client {
	t.Helper()
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || next >= len(all) {
			t.Errorf("request %d, %s: %s (%v)", next, r.URL, body, err)
			return
		}
		want := all[next]
		next++
		if got := r.URL.Path; got != want.path {
			t.Errorf("request %d is %s, want %s", next-1, got, want.path)
		}
		if want.body != "" && string(body) != want.body {
			t.Errorf("request %d of %s is %s, want %s", next-1, want.path, body, want.body)
		}
		if want.status != 0 {
			w.WriteHeader(want.status)
		}
		_, _ = io.WriteString(w, want.answer) // who is gone does not read it
	}))
	t.Cleanup(func() {
		server.Close()
		require.Equal(t, len(all), next, "requests")
	})
	system, err := New(Options{})
	require.NoError(t, err)
	c := system.client(nodes.TCP(strings.TrimPrefix(server.URL, "http://")))
	t.Cleanup(c.Close)
	return c
}

func requireCode(t *testing.T, want history.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, nodes.CodeOf(err), "%v", err)
}

func TestGet(t *testing.T) {
	const found = `{` + someHeader + `,"kvs":[{"key":"azE=","create_revision":"2","mod_revision":"5","version":"1","value":"NDI=","lease":"9"}],"count":"1"}`
	for mode, body := range map[history.Mode]string{
		history.ModeDefault: `{"key":"azE="}`,
		modeLinearizable:    `{"key":"azE="}`,
		ModeSerializable:    `{"key":"azE=","serializable":true}`,
	} {
		c := serve(t, said{path: "/v3/kv/range", body: body, answer: found})
		item, err := c.Do(t.Context(), nodes.Op{F: history.OpRead, Key: "k1", Mode: mode})
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Value: "42", Found: true, Index: 5, Next: 7, Entry: history.Entry{Value: "42", CreateIndex: 2, ModifyIndex: 5, Session: "9"}}, item)
	}
	c := serve(t, said{path: "/v3/kv/range", answer: `{` + someHeader + `}`})
	item, err := c.Get(t.Context(), "k1", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Next: 7}, item)

	_, err = serve(t).Get(t.Context(), "k1", history.ModeStale)
	requireCode(t, history.BadRequest, err)
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	for _, answer := range []string{
		``, `null`, `7`, `{}`, `<html>`, `{"header":{}}`, `{"header":{"member_id":"x"}}`,
		`{` + someHeader + `,"kvs":[{"key":"azI=","mod_revision":"5"}]}`,
		`{` + someHeader + `,"kvs":[{"key":"azE="}]}`,
		`{` + someHeader + `,"kvs":[{"key":"azE=","mod_revision":"5","value":"?"}]}`,
		`{` + someHeader + `,"kvs":[{"key":"azE=","mod_revision":"5"},{"key":"azE=","mod_revision":"5"}]}`,
	} {
		_, err := serve(t, said{path: "/v3/kv/range", answer: answer}).Get(t.Context(), "k1", history.ModeDefault)
		requireCode(t, history.Unknown, err)
	}
	for _, answer := range []string{`{}`, `{"header":{"member_id":"10","raft_term":"2"}}`} {
		_, err := serve(t, said{path: "/v3/kv/put", answer: answer}).Put(t.Context(), "k1", "v")
		requireCode(t, history.Unknown, err)
	}
	for _, answer := range []string{
		`{` + someHeader + `}`,
		`{` + someHeader + `,"responses":[{}]}`,
		`{` + someHeader + `,"responses":[{"response_put":{}}]}`,
	} {
		_, err := serve(t, said{path: "/v3/kv/txn", answer: answer}).CAS(t.Context(), "k1", "v", 4)
		requireCode(t, history.Unknown, err)
		_, err = serve(t, said{path: "/v3/kv/txn", answer: answer}).Acquire(t.Context(), "k1", "v", "4")
		requireCode(t, history.Unknown, err)
	}
}

func TestPut(t *testing.T) {
	c := serve(t, said{path: "/v3/kv/put", body: `{"key":"azE=","value":"NDI="}`, answer: `{` + someHeader + `}`})
	item, err := c.Do(t.Context(), nodes.Op{F: history.OpWrite, Key: "k1", Value: "42"})
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Value: "42", Found: true, Index: 7}, item)
}

func TestCAS(t *testing.T) {
	const rest = `"success":[{"request_put":{"key":"azE=","value":"NDI="}}],"failure":[{"request_range":{"key":"azE="}}]}`
	const byRevision = `{"compare":[{"key":"azE=","target":"MOD","result":"EQUAL","mod_revision":"4"}],` + rest
	const absent = `{"compare":[{"key":"azE=","target":"CREATE","result":"EQUAL","create_revision":"0"}],` + rest
	for index, body := range map[uint64]string{4: byRevision, 0: absent} {
		c := serve(t, said{path: "/v3/kv/txn", body: body, answer: `{` + someHeader + `,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"7"}}}]}`})
		item, err := c.Do(t.Context(), nodes.Op{F: history.OpCAS, Key: "k1", Value: "42", Index: index})
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Value: "42", Found: true, Index: 7}, item)
	}
	c := serve(t, said{path: "/v3/kv/txn", answer: `{` + someHeader + `,"responses":[{"response_range":{"header":{"revision":"7"},"kvs":[{"key":"azE=","mod_revision":"6","value":"MQ=="}],"count":"1"}}]}`})
	item, err := c.CAS(t.Context(), "k1", "42", 4)
	requireCode(t, history.CASMismatch, err)
	require.Equal(t, nodes.Answer{Value: "1", Found: true, Index: 6, HasCurrent: true, Entry: history.Entry{Value: "1", ModifyIndex: 6}}, item)

	c = serve(t, said{path: "/v3/kv/txn", answer: `{` + someHeader + `,"responses":[{"response_range":{"header":{"revision":"7"}}}]}`})
	item, err = c.CAS(t.Context(), "k1", "42", 4)
	requireCode(t, history.CASMismatch, err)
	require.Equal(t, nodes.Answer{HasCurrent: true}, item)
}

func TestSessions(t *testing.T) {
	for ttl, seconds := range map[time.Duration]string{time.Second: "1", 1001 * time.Millisecond: "2", time.Millisecond: "1"} {
		c := serve(t, said{path: "/v3/lease/grant", body: `{"TTL":"` + seconds + `"}`, answer: `{` + someHeader + `,"ID":"99","TTL":"3"}`})
		a, err := c.Do(t.Context(), nodes.Op{F: history.OpCreate, TTL: ttl})
		require.NoError(t, err)
		require.Equal(t, nodes.Answer{Value: "99"}, a)
	}
	for _, answer := range []string{`{` + someHeader + `,"ID":"99","TTL":"1"}`, `{` + someHeader + `,"TTL":"3"}`, `{` + someHeader + `,"ID":"99","TTL":"3","error":"no"}`} {
		_, err := serve(t, said{path: "/v3/lease/grant", answer: answer}).CreateSession(t.Context(), 2*time.Second, 0, false)
		requireCode(t, history.Unknown, err)
	}
	_, err := serve(t).CreateSession(t.Context(), time.Second, time.Second, false)
	requireCode(t, history.BadRequest, err)
	_, err = serve(t).CreateSession(t.Context(), 0, 0, false)
	requireCode(t, history.BadRequest, err)

	require.NoError(t, serve(t, said{path: "/v3/lease/revoke", body: `{"ID":"99"}`, answer: `{` + someHeader + `}`}).DestroySession(t.Context(), "99"))
	requireCode(t, history.NoSession, serve(t, said{path: "/v3/lease/revoke", status: 404, answer: noLease}).DestroySession(t.Context(), "99"))
	requireCode(t, history.BadRequest, serve(t).DestroySession(t.Context(), "a session"))
	requireCode(t, history.BadRequest, serve(t).RenewSession(t.Context(), "0"))
}

const noLease = `{"code":5,"message":"etcdserver: requested lease not found"}`

func TestRenew(t *testing.T) {
	for answer, code := range map[string]history.Code{
		`{"result":{` + someHeader + `,"ID":"99","TTL":"2"}}` + "\n":                                  "",
		`{"result":{` + someHeader + `,"ID":"99"}}`:                                                   history.NoSession,
		`{"result":{` + someHeader + `,"ID":"98","TTL":"2"}}`:                                         history.Unknown,
		`{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}`:                                history.Timeout,
		`{"error":{"grpc_code":5,"http_code":404,"message":"etcdserver: requested lease not found"}}`: history.NoSession,
		`{"error":{"message":"what?"}}`:                                                               history.Unknown,
		``:                                                                                            history.Unknown,
		`{}`:                                                                                          history.Unknown,
	} {
		err := serve(t, said{path: "/v3/lease/keepalive", body: `{"ID":"99"}`, answer: answer}).RenewSession(t.Context(), "99")
		if code == "" {
			require.NoError(t, err)
			continue
		}
		requireCode(t, code, err)
	}
}

func TestLocks(t *testing.T) {
	const put = `[{"request_put":{"key":"azE=","value":"dg==","lease":"99"}}]`
	const acquire = `{"compare":[{"key":"azE=","target":"LEASE","result":"EQUAL","lease":"0"}],"success":` + put +
		`,"failure":[{"request_txn":{"compare":[{"key":"azE=","target":"LEASE","result":"EQUAL","lease":"99"}],"success":` + put + `}}]}`
	const release = `{"compare":[{"key":"azE=","target":"LEASE","result":"EQUAL","lease":"99"}],"success":[{"request_put":{"key":"azE=","value":"dg=="}}]}`
	const done = `{` + someHeader + `,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"7"}}}]}`
	has := nodes.Answer{Value: "v", Found: true, Index: 7}

	for _, c := range []struct {
		f            history.Op
		body, answer string
		status       int
		code         history.Code
	}{
		{f: history.OpAcquire, body: acquire, answer: done},
		{f: history.OpAcquire, body: acquire, answer: `{` + someHeader + `,"responses":[{"response_txn":{"header":{},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"7"}}}]}}]}`},
		{f: history.OpAcquire, body: acquire, answer: `{` + someHeader + `,"responses":[{"response_txn":{"header":{}}}]}`, code: history.LockHeld},
		{f: history.OpAcquire, body: acquire, answer: noLease, status: 404, code: history.NoSession},
		{f: history.OpRelease, body: release, answer: done},
		{f: history.OpRelease, body: release, answer: `{` + someHeader + `}`, code: history.LockHeld},
	} {
		a, err := serve(t, said{path: "/v3/kv/txn", body: c.body, answer: c.answer, status: c.status}).
			Do(t.Context(), nodes.Op{F: c.f, Key: "k1", Value: "v", Session: "99"})
		if c.code == "" {
			require.NoError(t, err)
			require.Equal(t, has, a)
			continue
		}
		requireCode(t, c.code, err)
	}
}

// TestTexts: what etcd may say after it has proposed something is indefinite, whatever gRPC and HTTP call it.
func TestTexts(t *testing.T) {
	for text, code := range map[string]history.Code{
		"etcdserver: too many requests": history.NotReady,
		"etcdserver: no leader":         history.Timeout,
		"etcdserver: leader changed":    history.LeadershipLost,
		"etcdserver: server stopped":    history.Shutdown,
		"etcdserver: request timed out": history.Timeout,
		"etcdserver: request timed out, possibly due to previous leader failure": history.LeadershipLost,
		"etcdserver: mvcc: database space exceeded":                              history.Unknown,
		"etcdserver: corrupt cluster":                                            history.Unknown,
		"raft proposal dropped":                                                  history.NoLeader,
		"rpc error: etcdserver: too many requests":                               history.Unknown, // word for word
		"Not Found": history.Unknown,
		"":          history.Unknown,
	} {
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		for _, body := range []string{`{"code":14,"message":` + string(quoted) + `}`, `{"error":` + string(quoted) + `,"code":14}`} {
			_, err := serve(t, said{path: "/v3/kv/put", status: 503, answer: body}).Put(t.Context(), "k1", "v")
			requireCode(t, code, err)
		}
	}
	_, err := serve(t, said{path: "/v3/kv/put", status: 404, answer: "Not Found\n"}).Put(t.Context(), "k1", "v")
	requireCode(t, history.Unknown, err)
	for text, code := range texts {
		require.True(t, code.Known(), text)
	}
}

func TestANodeThatIsDown(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	system, err := New(Options{})
	require.NoError(t, err)
	c := system.Open(nodes.TCP(strings.TrimPrefix(server.URL, "http://")))
	defer c.Close()
	_, err = c.Do(t.Context(), nodes.Op{F: history.OpWrite, Key: "k1", Value: "1"})
	requireCode(t, history.Refused, err)
}

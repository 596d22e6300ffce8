package consul

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		status int
		header string
		body   string
		want   history.Code
	}{
		{500, "", "No cluster leader", history.NoLeader},
		{500, "", "rpc error making call: No cluster leader", history.NoLeader},
		{500, "", "rpc error making call: EOF", history.ForwardLost},
		{500, "", "rpc error making call: leadership lost while committing log", history.LeadershipLost},
		{500, "", "rpc error making call: rpc error making call: node is not the leader", history.NotLeader},
		{500, "", "rpc error getting client: failed to get conn: dial tcp 10.0.0.1:0->10.0.0.2:8300: connect: connection refused", history.NoServer},
		{500, "", "rpc error making call: stream closed", history.ForwardLost},
		{500, "", "raft is already shutdown", history.Shutdown},
		{500, "", "No known Consul servers", history.NoServer},
		{500, "", "Raft leader not found in server lookup mapping", history.NoLeader},
		{500, "", "timed out enqueuing operation", history.NotReady},
		{500, "", "something new", history.Unknown},
		{503, "", "", history.Unknown},
		{400, "", "Missing key name", history.BadRequest},
		{413, "", "Request body(2000000 bytes) too large, max size: 524288 bytes.", history.BadRequest},
		{429, "", "", history.NotReady},
		{500, "leadership-lost", "No cluster leader", history.LeadershipLost},
		{500, "a-new-code", "No cluster leader", history.Unknown},
		{302, "no-leader", "No cluster leader", history.Unknown},
	} {
		a := web.Answer{Status: test.status, Header: http.Header{}, Body: []byte(test.body)}
		if test.header != "" {
			a.Header.Set(nodes.HeaderError, test.header)
		}
		require.Equal(t, test.want, codeOf(a), "%+v", test)
	}
}

func TestTheTableIsInOrder(t *testing.T) {
	for i, line := range texts {
		require.True(t, line.code.Known())
		require.Equal(t, strings.ToLower(line.text), line.text)
		for _, before := range texts[:i] {
			require.NotContains(t, line.text, before.text, "it would never be reached")
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(500, "", "No cluster leader")
	f.Add(200, "no-leader", "")
	f.Fuzz(func(t *testing.T, status int, header, body string) {
		a := web.Answer{Status: status, Header: http.Header{http.CanonicalHeaderKey(nodes.HeaderError): {header}}, Body: []byte(body)}
		code := codeOf(a)
		require.True(t, code.Known())
		if status < 400 || header != "" && !history.Code(header).Known() {
			require.False(t, code.Definite())
		}
	})
}

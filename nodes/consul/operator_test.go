package consul

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestOperator(t *testing.T) {
	var asked []string
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		switch r.URL.Path {
		case "/v1/agent/self":
			io.WriteString(w, `{"Config":{"NodeID":"id-1"}}`)
		case "/v1/operator/raft/configuration":
			io.WriteString(w, `{"Servers":[{"ID":"id-1","Node":"s1","Address":"10.0.0.1:8300","Leader":true,"Voter":true},`+
				`{"ID":"id-2","Node":"","Address":"10.0.0.2:8300","Voter":false}],"Index":0}`)
		}
	})
	id, err := c.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "id-1", id)
	peers, err := c.Peers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []nodes.Peer{{ID: "id-1", Node: "s1", Address: "10.0.0.1:8300", Voter: true, Leader: true},
		{ID: "id-2", Address: "10.0.0.2:8300"}}, peers)
	require.NoError(t, c.RemovePeer(t.Context(), "id-2"))
	require.Equal(t, []string{"GET /v1/agent/self", "GET /v1/operator/raft/configuration",
		"DELETE /v1/operator/raft/peer?id=id-2"}, asked)
}

func TestOperatorOfNonsense(t *testing.T) {
	for _, body := range []string{"<html>", `{"Servers":[{"Node":"s1"}],"Config":{}}`} {
		c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		_, err := c.Identity(t.Context())
		require.Equal(t, history.Unknown, nodes.CodeOf(err))
		_, err = c.Peers(t.Context())
		require.Equal(t, history.Unknown, nodes.CodeOf(err))
	}
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	require.Equal(t, history.Unknown, nodes.CodeOf(c.RemovePeer(t.Context(), "id-2")))
}

func FuzzParsePeers(f *testing.F) {
	f.Add([]byte(`{"Servers":[{"ID":"id-1","Node":"s1","Address":"10.0.0.1:8300","Leader":true,"Voter":true}]}`))
	f.Add([]byte(`{"Config":{"NodeID":"id-1"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		peers, err := parsePeers(body)
		for _, p := range peers {
			require.NoError(t, err)
			require.NotEmpty(t, p.ID)
		}
		id, err := parseIdentity(body)
		require.Equal(t, err == nil, id != "")
	})
}

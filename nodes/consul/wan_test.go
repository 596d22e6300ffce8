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

func TestWANMembers(t *testing.T) {
	var asked string
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		io.WriteString(w, `[{"Name":"s1.eu.dc1","Addr":"10.0.0.1","Port":8302,"Tags":{"role":"consul","dc":"dc1"},"Status":1},
			{"Name":"c1.dc2","Tags":{"role":"node","dc":"dc2"},"Status":4}]`)
	})
	members, err := c.Conn.(nodes.WANMembers).WANMembers(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/v1/agent/members?wan=1", asked)
	require.Equal(t, []history.WANMember{{Name: "s1.eu", DC: "dc1", Server: true, Status: history.MemberAlive},
		{Name: "c1", DC: "dc2", Status: history.MemberFailed}}, members)
	for _, body := range []string{`<html>`, `[{"Name":"s1","Tags":{"dc":"dc1"},"Status":1}]`, `[{"Name":"s1.dc1","Tags":{"dc":"dc1"},"Status":9}]`,
		`[{"Name":".dc1","Tags":{"dc":"dc1"},"Status":1}]`} {
		_, err := parseWANMembers([]byte(body))
		require.Error(t, err, body)
	}
}

func FuzzParseWANMembers(f *testing.F) {
	f.Add([]byte(`[{"Name":"s1.dc1","Tags":{"role":"consul","dc":"dc1"},"Status":1}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		members, err := parseWANMembers(body)
		for _, m := range members {
			require.NoError(t, err)
			require.NotEmpty(t, m.Name)
			require.NotEmpty(t, m.DC)
			require.NotEmpty(t, m.Status)
		}
	})
}

func TestAppend(t *testing.T) {
	var asked string
	c := serve(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.String() + " " + string(body)
		w.Header().Set(nodes.HeaderIndex, "9")
		io.WriteString(w, "true")
	})
	a, err := c.Do(t.Context(), nodes.Op{F: history.OpAppend, DC: "dc2", Key: "l", Value: "7"})
	require.NoError(t, err)
	require.Equal(t, "PUT /v1/kv/l?append&dc=dc2 7", asked)
	require.Equal(t, nodes.Answer{Value: "7", Found: true, Index: 9}, a)
	require.NotContains(t, Real(RealOptions{}).Facts().Ops, history.OpAppend, "a Consul would write over the list")
}

// A Consul knows no node of one datacenter in another, and a session needs one.
func TestASessionInAnotherDatacenterNamesANodeOfIt(t *testing.T) {
	var asked []string
	c := serve(t, ClientOptions{NamesNodes: true}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.URL.String(), string(body))
		if r.Method == http.MethodGet {
			io.WriteString(w, `[{"Node":"dc2-c1"},{"Node":"dc2-s1"}]`)
			return
		}
		io.WriteString(w, `{"ID":"x"}`)
	})
	_, err := c.Do(t.Context(), nodes.Op{F: history.OpCreate, DC: "dc2", TTL: time.Second})
	require.NoError(t, err)
	require.Equal(t, "/v1/catalog/nodes?dc=dc2", asked[0])
	require.Contains(t, asked[3], `"Node":"dc2-c1"`)
	asked = nil
	_, err = c.Do(t.Context(), nodes.Op{F: history.OpCreate, TTL: time.Second})
	require.NoError(t, err)
	require.Len(t, asked, 2, "in its own it asks for nothing")
	require.NotContains(t, asked[1], "Node\"")
}

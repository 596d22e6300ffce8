package agent

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// One healthy cluster, used through every one of its agents.
func TestAPI(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 1)
		for _, n := range c.nodes {
			testModes(t, n)
			testHops(t, n)
			testCAS(t, n)
			testListing(t, n)
			testAppend(t, n)
			testBlocking(t, n, c.nodes[0])
			testRefused(t, n)
			testViews(t, c, n)
		}
	})
}

func testModes(t *testing.T, n *node) {
	dir := n.name + "/modes/"
	for _, query := range []string{"", "consistent", "stale"} {
		absent := n.do(t, "GET", "/v1/kv/"+dir+"absent?"+query, "")
		require.Equal(t, http.StatusNotFound, absent.status)
		require.Empty(t, absent.body)
		require.Empty(t, absent.code(), "an absent key is no error")
		require.NotZero(t, absent.index(t))
	}
	first := n.put(t, dir+"a", "one")
	second := n.do(t, "PUT", "/v1/kv/"+dir+"a?flags=7", "two")
	require.Equal(t, "true", second.body)
	for _, query := range []string{"", "consistent"} {
		require.Equal(t, jsonEntry{Key: dir + "a", Value: []byte("two"), Flags: 7, CreateIndex: first, ModifyIndex: second.index(t)},
			n.get(t, dir+"a", query))
	}
	n.awaitValue(t, dir+"a", "two")
	for query, effective := range map[string]history.Mode{"": history.ModeDefault, "consistent": history.ModeConsistent, "stale": history.ModeStale} {
		a := n.do(t, "GET", "/v1/kv/"+dir+"a?"+query, "")
		require.Equal(t, second.index(t), a.index(t))
		require.Equal(t, "true", a.header.Get(nodes.HeaderKnownLeader))
		require.Regexp(t, `^\d+$`, a.header.Get(nodes.HeaderLastContact))
		require.Equal(t, string(effective), a.header.Get("X-Consul-Effective-Consistency"))
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
	}
	n.put(t, dir+"empty", "")
	require.Contains(t, n.do(t, "GET", "/v1/kv/"+dir+"empty", "").body, `"Value":null`)
	for _, odd := range []string{dir + "spaces and ?#%é", dir + "two//slashes", dir + "up/../and/./down/"} {
		n.put(t, escape(odd), "\x00\xff")
		require.Equal(t, odd, n.get(t, escape(odd), "").Key)
		require.Equal(t, "\x00\xff", n.do(t, "GET", "/v1/kv/"+escape(odd)+"?raw", "").body)
	}
	require.Equal(t, "true", n.do(t, "DELETE", "/v1/kv/"+dir+"a", "").body)
	require.Equal(t, "true", n.do(t, "DELETE", "/v1/kv/"+dir+"a", "").body, "twice deleted is deleted")
	require.Equal(t, http.StatusNotFound, n.do(t, "GET", "/v1/kv/"+dir+"a", "").status)
}

func testHops(t *testing.T, n *node) {
	key := n.name + "/hops"
	for _, a := range []answer{
		n.do(t, "PUT", "/v1/kv/"+key, "x"),
		n.do(t, "GET", "/v1/kv/"+key, ""),
		n.do(t, "GET", "/v1/kv/"+key+"?consistent", ""),
	} {
		hops := a.hops(t)
		require.Equal(t, n.name, hops[0].Node)
		require.Equal(t, history.RoleLeader, hops[len(hops)-1].Role)
		for i, h := range hops[:len(hops)-1] {
			require.NotEqual(t, history.RoleLeader, h.Role)
			require.GreaterOrEqual(t, h.MS, hops[i+1].MS, "the time of a hop holds that of those behind")
		}
		require.Equal(t, !n.config.Server, hops[0].Role == history.RoleClient)
	}
	stale := n.do(t, "GET", "/v1/kv/"+key+"?stale", "").hops(t)
	if n.config.Server {
		require.Len(t, stale, 1, "a server answers a stale read itself")
	} else {
		require.Len(t, stale, 2, "the first server that is asked answers")
	}
	request, err := n.httpClient().Get("http://" + n.agent.settings.http().String() + "/v1/kv/" + key)
	require.NoError(t, err)
	require.NoError(t, request.Body.Close())
	require.Empty(t, request.Header.Get(nodes.HeaderHops), "hops are in the answer only on request")
}

func testCAS(t *testing.T, n *node) {
	path := "/v1/kv/" + n.name + "/cas"
	created := n.do(t, "PUT", path+"?cas=0", "one")
	require.Equal(t, "true", created.body)
	mismatch := func(a answer, index, value string) {
		t.Helper()
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "false", a.body)
		require.Equal(t, index, a.header.Get(nodes.HeaderCurrentIndex))
		require.Equal(t, base64.StdEncoding.EncodeToString([]byte(value)), a.header.Get(nodes.HeaderCurrentValue))
	}
	index := created.header.Get(nodes.HeaderIndex)
	mismatch(n.do(t, "PUT", path+"?cas=0", "two"), index, "one")
	mismatch(n.do(t, "PUT", path+"?cas=1", "two"), index, "one")
	mismatch(n.do(t, "PUT", path+"/absent?cas=1", "two"), "0", "")
	mismatch(n.do(t, "DELETE", path+"?cas=1", ""), index, "one")
	swapped := n.do(t, "PUT", path+"?cas="+index, "two")
	require.Equal(t, "true", swapped.body)
	require.Empty(t, swapped.header.Get(nodes.HeaderCurrentIndex))
	mismatch(n.do(t, "PUT", path+"?cas="+index, "three"), swapped.header.Get(nodes.HeaderIndex), "two")
	require.Equal(t, "true", n.do(t, "DELETE", path+"?cas="+swapped.header.Get(nodes.HeaderIndex), "").body)
	require.Equal(t, http.StatusNotFound, n.do(t, "GET", path, "").status)
	require.Equal(t, "true", n.do(t, "PUT", path+"?cas=0", "four").body, "absent again")
}

func testAppend(t *testing.T, n *node) {
	key := n.name + "/append"
	first := n.do(t, "PUT", "/v1/kv/"+key+"?append", "1")
	require.Equal(t, "true", first.body)
	second := n.do(t, "PUT", "/v1/kv/"+key+"?append", "2")
	e := n.get(t, key, "")
	require.Equal(t, "[1,2]", string(e.Value))
	require.Equal(t, []uint64{first.index(t), second.index(t)}, []uint64{e.CreateIndex, e.ModifyIndex}, "it answers like a write")
	n.put(t, key, "text")
	require.Equal(t, history.BadRequest, n.do(t, "PUT", "/v1/kv/"+key+"?append", "3").code(), "it holds no list")
	require.Equal(t, history.BadRequest, n.do(t, "PUT", "/v1/kv/"+key+"/other?append", "1,2").code(), "it is no element")
	require.Equal(t, history.BadRequest, n.do(t, "PUT", "/v1/kv/"+key+"/other?append&cas=0", "1").code())
	require.Equal(t, history.BadRequest, n.do(t, "DELETE", "/v1/kv/"+key+"?append", "").code())
	require.Equal(t, http.StatusNotFound, n.do(t, "GET", "/v1/kv/"+key+"/other", "").status)
}

func testListing(t *testing.T, n *node) {
	dir := n.name + "/list/"
	for _, key := range []string{"a", "b/1", "b/2"} {
		n.put(t, dir+key, key)
	}
	list := n.do(t, "GET", "/v1/kv/"+dir+"?recurse", "")
	var got []string
	for _, e := range list.entries(t) {
		got = append(got, e.Key+"="+string(e.Value))
	}
	require.Equal(t, []string{dir + "a=a", dir + "b/1=b/1", dir + "b/2=b/2"}, got)
	keys := func(query string) []string {
		return decode[[]string](t, n.do(t, "GET", "/v1/kv/"+dir+"?"+query, "").body)
	}
	require.Equal(t, []string{dir + "a", dir + "b/1", dir + "b/2"}, keys("keys"))
	require.Equal(t, []string{dir + "a", dir + "b/"}, keys("keys&separator=/"))
	require.Equal(t, http.StatusNotFound, n.do(t, "GET", "/v1/kv/"+dir+"none/?keys", "").status)
	require.Equal(t, "true", n.do(t, "DELETE", "/v1/kv/"+dir+"b?recurse", "").body)
	require.Equal(t, []string{dir + "a"}, keys("keys"))
}

func testBlocking(t *testing.T, n, other *node) {
	key := n.name + "/blocking"
	index := n.put(t, key, "one")
	n.awaitValue(t, key, "one")
	for _, query := range []string{"", "&consistent", "&stale", "&recurse"} {
		begun := time.Now()
		a := n.do(t, "GET", "/v1/kv/"+key+"?wait=150ms&index="+itoa(index)+query, "")
		require.Equal(t, index, a.index(t))
		require.GreaterOrEqual(t, time.Since(begun), 150*time.Millisecond)
		require.Equal(t, index, n.do(t, "GET", "/v1/kv/"+key+"?index=1"+query, "").index(t), "its index has grown already")
	}
	for _, query := range []string{"", "&consistent", "&stale", "&recurse"} {
		woken := make(chan answer, 1)
		go func() {
			a, _ := n.try("GET", "/v1/kv/"+key+"?index="+itoa(index)+query, "")
			woken <- a
		}()
		now := other.put(t, key, "next"+query)
		select {
		case a := <-woken:
			require.Equal(t, now, a.index(t), a.body)
			require.Equal(t, "next"+query, string(a.entries(t)[0].Value))
		case <-time.After(atMost):
			require.Fail(t, "a blocking query was not woken")
		}
		index = now
		n.awaitValue(t, key, "next"+query)
	}
}

func testRefused(t *testing.T, n *node) {
	big := strings.Repeat("x", maxValue+1)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               history.Code
		text               string
	}{
		{"GET", "/v1/kv/", "", 400, history.BadRequest, "Missing key name"},
		{"PUT", "/v1/kv/", "x", 400, history.BadRequest, "Missing key name"},
		{"DELETE", "/v1/kv/", "", 400, history.BadRequest, "Missing key name"},
		{"GET", "/v1/kv/a?stale&consistent", "", 400, history.BadRequest, "conflicting"},
		{"GET", "/v1/kv/a?index=x", "", 400, history.BadRequest, "Invalid index"},
		{"GET", "/v1/kv/a?index=1&wait=x", "", 400, history.BadRequest, "Invalid wait"},
		{"GET", "/v1/kv/a?dc=mars", "", 500, history.NoPath, "No path to datacenter"},
		{"PUT", "/v1/kv/a?dc=mars", "x", 500, history.NoPath, "No path to datacenter"},
		{"PUT", "/v1/kv/a?cas=x", "x", 400, history.BadRequest, "Invalid cas"},
		{"PUT", "/v1/kv/a?flags=-1", "x", 400, history.BadRequest, "Invalid flags"},
		{"PUT", "/v1/kv/a?acquire=", "x", 400, history.BadRequest, "needs a session"},
		{"PUT", "/v1/kv/a?acquire=s", "x", 404, history.NoSession, "invalid session"},
		{"PUT", "/v1/kv/a?acquire=s&cas=0", "x", 400, history.BadRequest, "Conflicting flags"},
		{"DELETE", "/v1/kv/a?release=s", "", 400, history.BadRequest, "Conflicting flags"},
		{"PUT", "/v1/kv/a", big, 400, history.BadRequest, "too large"},
		{"DELETE", "/v1/kv/a?recurse&cas=1", "", 400, history.BadRequest, "Conflicting"},
		{"GET", "/v1/health/service/x", "", 404, history.NotFound, "no endpoint"},
		{"POST", "/v1/kv/a", "x", 404, history.NotFound, "no endpoint"},
		{"PUT", "/v1/operator/raft/transfer-leader?id=nobody", "", 400, history.BadRequest, "nobody is no voter"},
	} {
		a := n.do(t, c.method, c.path, c.body)
		require.Equal(t, c.status, a.status, "%s %s: %s", c.method, c.path, a.body)
		require.Equal(t, c.code, a.code(), "%s %s", c.method, c.path)
		require.Contains(t, a.body, c.text)
	}
	require.Equal(t, http.StatusNotFound, n.do(t, "GET", "/v1/kv/a", "").status, "what is refused is not done")
}

func testViews(t *testing.T, c *cluster, n *node) {
	leader := c.leader(t)
	require.Equal(t, `"`+leader.agent.rpcAddr()+`"`, n.do(t, "GET", "/v1/status/leader", "").body)
	n.awaitPeers(t, c.servers()...)
	members := decode[[]jsonMember](t, n.do(t, "GET", "/v1/agent/members", "").body)
	require.Len(t, members, len(c.nodes))
	for _, m := range members {
		require.Equal(t, 1, m.Status, "%s is alive", m.Name)
		require.Equal(t, "dc1", m.Tags["dc"])
		require.Equal(t, m.Name[0] == 's', m.Tags["role"] == "consul")
	}
	self := decode[jsonSelf](t, n.do(t, "GET", "/v1/agent/self?pretty", "").body)
	require.Equal(t, n.name, self.Config.NodeName)
	require.Equal(t, n.name, self.Member.Name)
	require.Equal(t, n.agent.id, self.Config.NodeID)
	require.NotEmpty(t, self.Raft.Boot)
	if n.config.Server {
		require.Equal(t, leader.name, self.Raft.Leader)
		require.Equal(t, n == leader, self.Raft.State == "Leader")
		require.NotZero(t, self.Raft.Term)
		require.LessOrEqual(t, self.Raft.Commit, self.Raft.Last)
	} else {
		require.Equal(t, jsonRaft{Boot: self.Raft.Boot}, self.Raft)
	}
	configuration := n.do(t, "GET", "/v1/operator/raft/configuration", "").body
	for _, s := range c.servers() {
		require.Contains(t, configuration, `"Node":"`+s.name+`"`)
	}
	require.Equal(t, `["dc1"]`, n.do(t, "GET", "/v1/catalog/datacenters", "").body)
	require.Contains(t, n.do(t, "GET", "/v1/catalog/nodes", "").body, `"Node":"c1"`)
}

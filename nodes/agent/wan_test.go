package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/kv"
	"faultline/nodes/agent/internal/rpc"
	"faultline/nodes/agent/oshost"
	"faultline/workloads/history"
)

// Each datacenter has data of its own, and every node of each can be asked for that of any.
func TestOtherDatacenters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 3, 1)
		here, there := f.dcs[0], f.dcs[1]
		client := here.nodes[3]
		client.put(t, "k", "one")
		a := client.putIn(t, "dc2", "k", "two")
		hops := a.hops(t)
		require.Equal(t, history.RoleClient, hops[0].Role)
		require.Equal(t, history.RoleLeader, hops[len(hops)-1].Role)
		require.Equal(t, there.leader(t).name, hops[len(hops)-1].Node)
		require.LessOrEqual(t, len(hops), 4, "client, server, remote server, remote leader: %s", a.way(t))

		for _, n := range append(f.servers(), client, there.nodes[3]) {
			for dc, value := range map[string]string{"dc1": "one", "dc2": "two"} {
				for _, mode := range []string{"", "&consistent"} {
					require.Equal(t, value, n.do(t, "GET", "/v1/kv/k?raw&dc="+dc+mode, "").body, "%s of %s asked for %s", n.name, n.agent.DC, dc)
				}
			}
		}
		for _, n := range there.servers() {
			n.awaitValue(t, "k", "two")
		}
		answered := map[string]bool{}
		for range 60 {
			a := here.leader(t).do(t, "GET", "/v1/kv/k?stale&raw&dc=dc2", "")
			require.Equal(t, "two", a.body)
			require.Len(t, a.hops(t), 2, "the server that is chosen answers: %s", a.way(t))
			answered[a.hops(t)[1].Node] = true
		}
		require.Len(t, answered, 3, "each server is chosen at some time")

		a = client.do(t, "GET", "/v1/kv/k?dc=mars", "")
		require.Equal(t, history.NoPath, a.code())
		require.Contains(t, a.body, "No path to datacenter")
	})
}

// What else goes to another datacenter.
func TestEndpointsOfOtherDatacenters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 2, 1)
		n, leader := f.dcs[0].nodes[2], f.dcs[1].leader(t)
		require.JSONEq(t, fmt.Sprintf("%q", leader.agent.rpcAddr()), n.do(t, "GET", "/v1/status/leader?dc=dc2", "").body)
		require.Contains(t, n.do(t, "GET", "/v1/status/peers?dc=dc2", "").body, leader.agent.rpcAddr())
		set := n.do(t, "GET", "/v1/operator/raft/configuration?dc=dc2", "").body
		require.Contains(t, set, leader.agent.id)
		require.Contains(t, set, `"Node":"s1"`, "by its name there")
		all := decode[[]nodeInfo](t, n.do(t, "GET", "/v1/catalog/nodes?dc=dc2", "").body)
		require.Len(t, all, 3)
		require.Equal(t, "dc2", all[0].Datacenter)
		require.Len(t, decode[[]nodeInfo](t, n.do(t, "GET", "/v1/catalog/nodes", "").body), 3)

		made := decode[map[string]string](t, n.do(t, "PUT", "/v1/session/create?dc=dc2", `{"TTL":"10s","Checks":[]}`).body)
		id := made["ID"]
		require.Contains(t, n.do(t, "GET", "/v1/session/info/"+id+"?dc=dc2", "").body, id)
		require.Contains(t, leader.do(t, "GET", "/v1/session/list", "").body, id)
		require.NotContains(t, n.do(t, "GET", "/v1/session/list", "").body, id)
		require.Equal(t, "true", n.do(t, "PUT", "/v1/kv/lock?dc=dc2&acquire="+id, "me").body)
		require.Contains(t, n.do(t, "PUT", "/v1/session/renew/"+id+"?dc=dc2", "").body, id)
		require.Equal(t, history.NoSession, n.do(t, "PUT", "/v1/session/renew/"+id, "").code(), "here is none")
		require.Equal(t, "true", n.do(t, "PUT", "/v1/session/destroy/"+id+"?dc=dc2", "").body)
		require.Empty(t, leader.get(t, "lock", "").Session)
		require.Equal(t, history.BadRequest, n.do(t, "PUT", "/v1/session/create?dc=dc2", `{"Node":"nobody"}`).code())
		require.Equal(t, 200, n.do(t, "PUT", "/v1/session/create?dc=dc2", `{"Node":"s1"}`).status, "a node of there")

		require.Equal(t, 200, n.do(t, "POST", "/v1/operator/raft/transfer-leader?dc=dc2", "").status)
		require.NotEqual(t, leader, f.dcs[1].leader(t))
	})
}

func TestDatacentersAreListed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 3, 1, 1)
		for i, c := range f.dcs {
			for _, n := range c.nodes {
				names := decode[[]string](t, n.do(t, "GET", "/v1/catalog/datacenters", "").body)
				require.Equal(t, f.name(i), names[0], "the nearest is its own")
				require.ElementsMatch(t, []string{"dc1", "dc2", "dc3"}, names)
			}
		}
		client := f.dcs[0].nodes[1]
		require.JSONEq(t, "[]", client.do(t, "GET", "/v1/agent/members?wan", "").body, "it is no member")
		eventually(t, "all have coordinates", func() error {
			maps := decode[[]dcMap](t, client.do(t, "GET", "/v1/coordinate/datacenters", "").body)
			for _, m := range maps {
				if len(m.Coordinates) != 1 || m.AreaID != "wan" || m.Coordinates[0].Node != "s1" {
					return fmt.Errorf("%v", maps)
				}
			}
			return nil
		})
		gone := f.dcs[2].nodes[0]
		require.Equal(t, 200, gone.do(t, "PUT", "/v1/agent/leave", "").status)
		gone.awaitEnd(t)
		eventually(t, "who left is no longer listed", func() error {
			if names := decode[[]string](t, client.do(t, "GET", "/v1/catalog/datacenters", "").body); len(names) != 2 {
				return fmt.Errorf("%v", names)
			}
			return nil
		})
		require.Equal(t, history.DCDown, client.do(t, "GET", "/v1/kv/k?dc=dc3", "").code(), "known, and away")
	})
}

// A cut that outlasts every memory of gossip heals, and so do the calls.
func TestLongCutBetweenDatacenters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 2, 1)
		client := f.dcs[0].nodes[2]
		client.putIn(t, "dc2", "k", "before")
		f.cut(0, 1)
		seen := map[history.Code]bool{}
		for begun := time.Now(); time.Since(begun) < 40*second; {
			a := client.do(t, "PUT", "/v1/kv/k?dc=dc2", "during")
			require.NotEqual(t, 200, a.status)
			seen[a.code()] = true
			time.Sleep(second)
		}
		require.True(t, seen[history.DCDown], "gossip has noticed: %v", seen)
		begun := time.Now()
		a := client.do(t, "PUT", "/v1/kv/k?dc=dc2", "during")
		require.Equal(t, history.DCDown, a.code())
		require.Contains(t, a.body, "Remote DC has no server currently reachable")
		require.Less(t, time.Since(begun), 10*second)
		client.put(t, "local", "v")
		require.Equal(t, "before", f.dcs[1].leader(t).do(t, "GET", "/v1/kv/k?raw", "").body)

		f.wire.heal()
		healed := time.Now()
		eventually(t, "calls pass again", func() error {
			if a := client.do(t, "PUT", "/v1/kv/k?dc=dc2", "after"); a.body != "true" {
				return fmt.Errorf("%s", a.code())
			}
			return nil
		})
		require.Less(t, time.Since(healed), 10*second)
		f.awaitWAN(t)
	})
}

// Before gossip knows, calls go to the servers that are left, and a datacenter whose servers all are
// gone is said to be so, by an error that means that nothing was sent.
func TestServersOfAnotherDatacenterDie(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 3, 0)
		asker := f.dcs[0].leader(t)
		f.dcs[1].followers(t)[0].stop(t)
		for i := range 20 {
			asker.putIn(t, "dc2", "k", fmt.Sprint(i))
		}
		for _, n := range f.dcs[1].servers() {
			go n.agent.Shutdown()
		}
		for _, n := range f.dcs[1].nodes {
			n.awaitEnd(t)
		}
		a := asker.do(t, "PUT", "/v1/kv/k?dc=dc2", "x")
		require.Contains(t, []history.Code{history.DCFailed, history.DCDown}, a.code())
		begun := time.Now()
		a = asker.do(t, "PUT", "/v1/kv/k?dc=dc2", "x")
		require.True(t, a.code().Definite(), a.code())
		require.Less(t, time.Since(begun), second, "what was tried a moment ago is not tried again")
	})
}

// A server with another address or another disk is found by the other datacenters.
func TestAServerMovesOrIsReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 3, 0)
		there := f.dcs[1]
		moved := there.followers(t)[0]
		moved.stop(t)
		there.nodes = without(there.nodes, moved)
		config := moved.config
		config.Bind = config.Bind.Next().Next().Next().Next().Next()
		config.Client = config.Bind
		there.start(config, moved.dir)
		f.awaitWAN(t)
		there.leader(t)

		replaced := there.followers(t)[0]
		replaced.stop(t)
		there.nodes = without(there.nodes, replaced)
		config = replaced.config
		config.BootstrapExpect = 0
		there.start(config, t.TempDir())
		f.awaitWAN(t)
		answered := map[string]bool{}
		eventually(t, "each server answers", func() error {
			a := f.dcs[0].leader(t).do(t, "GET", "/v1/kv/k?stale&dc=dc2", "")
			if hops := a.hops(t); len(hops) == 2 {
				answered[hops[1].Node] = true
			}
			if len(answered) < 3 {
				return fmt.Errorf("%v", answered)
			}
			return nil
		})
	})
}

// Client agents and the pools of LANs stay out of the pool of servers, whoever joins whom.
func TestOnlyServersAreInTheWANPool(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 1, 1)
		intruder := f.dcs[0].start(f.dcs[0].config("c9", 9, 0), t.TempDir(), func(config *Config) {
			config.DC, config.RetryJoin = "dc1", []string{"10.0.0.1:8302", "10.0.1.1"}
		})
		time.Sleep(30 * second)
		f.awaitWAN(t)
		require.Len(t, intruder.agent.gossip.Members(), 1, "it has found nobody: neither servers of all datacenters nor another LAN")
	})
}

// The caller's time goes with the call: what is queued when it is over is not begun.
func TestDeadlinesGoAcross(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 2, 0)
		asker, there := f.dcs[0].leader(t), f.dcs[1]
		leader, follower := there.leader(t), there.followers(t)[0]
		leader.wire.cut(leader.host.ip, follower.host.ip) // nobody leads
		time.Sleep(5 * second)
		begun := time.Now()
		a := asker.do(t, "PUT", "/v1/kv/k?dc=dc2", "late")
		require.NotEqual(t, 200, a.status)
		require.LessOrEqual(t, time.Since(begun), requestTimeout+second)
		there.wire.heal()
		there.leader(t)
		time.Sleep(20 * second)
		if a.code().Definite() {
			require.Equal(t, 404, there.leader(t).do(t, "GET", "/v1/kv/k", "").status, "%s", a.code())
		}
	})
}

// A call that was forwarded often enough is not forwarded on, and nothing is done.
func TestHopBudget(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 2, 1)
		leader, follower, client := f.dcs[0].leader(t), f.dcs[0].followers(t)[0], f.dcs[0].nodes[2]
		for _, try := range []struct {
			n        *node
			dc       string
			forwards int
		}{{follower, "", 0}, {leader, "dc2", 0}, {client, "", 0}, {client, "dc2", 1}} {
			_, _, err := invoke(t.Context(), try.n.agent, writeMethod, putArgs("k"), forwardOptions{dc: try.dc, forwards: try.forwards})
			require.Equal(t, history.NotReady, nodes.CodeOf(err))
			require.ErrorContains(t, err, "forwarded too often")
		}
		_, _, err := invoke(t.Context(), leader.agent, writeMethod, putArgs("k"), forwardOptions{dc: "dc2", forwards: 2})
		require.NoError(t, err)
	})
}

func putArgs(key string) writeArgs {
	return writeArgs{Command: kv.Command{Op: kv.Put, Key: key, Value: []byte("v")}.Append(nil)}
}

func without(all []*node, n *node) []*node {
	return slices.DeleteFunc(slices.Clone(all), func(m *node) bool { return m == n })
}

// Calls come in as soon as the port is open, which is before the server knows of anybody.
func TestAServerThatStartsForwardsNothing(t *testing.T) {
	host, err := oshost.New(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	a, err := New(host, Config{Name: "s1", Server: true, Bind: netip.MustParseAddr("10.0.0.1")})
	require.NoError(t, err)
	response := a.serveRPC(t.Context(), rpc.Request{Method: readMethod.name, DC: "dc2", Final: true, Body: rpc.Encode(readArgs{})})
	require.Equal(t, history.NotReady, response.Code)
}

// Nobody who gets into the pool by mistake stays in it: by the port of another pool, or under another name.
func TestWhoIsAdmitted(t *testing.T) {
	server := gossip.Tags{Server: true, DC: "dc1"}
	require.NoError(t, admitWAN("s1.dc1", server))
	require.ErrorContains(t, admitWAN("c1.dc1", gossip.Tags{DC: "dc1"}), "it is no server")
	require.ErrorContains(t, admitWAN("s1", server), "it is not called NODE.dc1")
	a := &Agent{settings: settings{Config: Config{DC: "dc1"}}}
	require.NoError(t, a.admitLAN("s1", server))
	require.ErrorContains(t, a.admitLAN("s1", gossip.Tags{Server: true, DC: "dc2"}), `it is of datacenter "dc2"`)
}

// Each server that does not take a connection costs its time to dial once, and not again and again.
func TestEachServerIsDialledOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := startFederation(t, 2, 3, 0, func(c *Config) { c.WANProfile = "wan" }) // whose gossip notices nothing meanwhile
		asker := f.dcs[0].leader(t)
		f.cut(0, 1)
		begun := time.Now()
		a := asker.do(t, "PUT", "/v1/kv/k?dc=dc2", "v")
		require.Equal(t, history.DCFailed, a.code(), a.body)
		require.Less(t, time.Since(begun), 4*rpc.WAN.Dial, "three servers, and the pauses between")
	})
}

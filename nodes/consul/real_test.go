package consul

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/local"
	"faultline/nodes/systemtest"
	"faultline/topologies"
)

func place(name string, role topologies.Role, addr string) nodes.NodeInfo {
	dc, _, _ := strings.Cut(name, "-")
	return nodes.NodeInfo{Node: topologies.Node{Name: name, DC: dc, Role: role}, Addr: netip.MustParseAddr(addr), Dir: "/data"}
}

func TestConfigOfAConsul(t *testing.T) {
	all := []nodes.NodeInfo{
		place("dc1-s1", topologies.Server, "10.0.0.1"),
		place("dc1-s2", topologies.Server, "10.0.0.2"),
		place("dc1-c1", topologies.Client, "10.0.0.3"),
		place("dc1-x1", topologies.Spare, "10.0.0.4"),
		place("dc2-s1", topologies.Server, "10.0.1.1"),
		place("dc2-s2", topologies.Server, "10.0.1.2"),
		place("dc2-s3", topologies.Server, "10.0.1.3"),
	}
	off := false
	system := Real(RealOptions{RaftMultiplier: 1, SnapshotThreshold: 100, CleanupDeadServers: &off, ServerStabilization: "1s"})
	config := func(at int) map[string]any {
		l, err := system.Launch(t.Context(), nodes.Start{Kind: nodes.Again, Self: all[at], All: all})
		require.NoError(t, err)
		require.NoError(t, l.Check())
		require.Equal(t, []string{"agent", "-config-file", configFile}, l.Args)
		var c map[string]any
		require.NoError(t, json.Unmarshal([]byte(l.Files[configFile]), &c))
		return c
	}
	server, client, spare := config(0), config(2), config(3)
	require.Equal(t, []any{"10.0.0.2"}, server["retry_join"])
	require.Equal(t, 2.0, server["bootstrap_expect"])
	require.Equal(t, map[string]any{"cleanup_dead_servers": false, "server_stabilization_time": "1s"}, server["autopilot"])
	require.Equal(t, map[string]any{"raft_multiplier": 1.0}, server["performance"])
	require.Equal(t, 100.0, server["raft_snapshot_threshold"])
	require.Equal(t, []any{"10.0.0.1", "10.0.0.2"}, client["retry_join"])
	require.Equal(t, []any{"10.0.1.1", "10.0.1.2"}, server["retry_join_wan"], "two of each other datacenter")
	require.NotContains(t, client, "retry_join_wan")
	require.NotContains(t, client, "server")
	require.NotContains(t, client, "autopilot")
	require.Equal(t, true, spare["server"])
	require.NotContains(t, spare, "bootstrap_expect", "nobody counts on it")
}

func TestAConsulThatNobodyHas(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	ready := Real(RealOptions{}).(interface{ Ready(context.Context) error })
	require.ErrorContains(t, ready.Ready(t.Context()), "--set binary=/path/of/consul")
	ready = Real(RealOptions{Binary: "/dev/null"}).(interface{ Ready(context.Context) error })
	require.Error(t, ready.Ready(t.Context()))
}

// A real Consul is put to the suite wherever one is: FAULTLINE_CONSUL names its binary.
func TestARealConsul(t *testing.T) {
	binary := os.Getenv("FAULTLINE_CONSUL")
	if binary == "" {
		t.Skip("needs a Consul: set FAULTLINE_CONSUL to its binary")
	}
	systemtest.Test(t, systemtest.Subject{Runtime: local.New(), Require: "FAULTLINE_REQUIRE_LOCAL", Recovers: time.Minute,
		System: func() nodes.System {
			return Real(RealOptions{Binary: binary, RaftMultiplier: 1, ServerStabilization: "1s"})
		}})
}

package system

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
)

func place(name string, role topologies.Role, addr string) nodes.NodeInfo {
	dc, _, _ := strings.Cut(name, "-")
	return nodes.NodeInfo{Node: topologies.Node{Name: name, DC: dc, Role: role}, Addr: netip.MustParseAddr(addr), Dir: "/data"}
}

func TestArgs(t *testing.T) {
	all := []nodes.NodeInfo{
		place("dc1-s1", topologies.Server, "10.0.0.1"),
		place("dc1-s2", topologies.Server, "10.0.0.2"),
		place("dc1-s3", topologies.Server, "10.0.0.3"),
		place("dc1-c1", topologies.Client, "10.0.0.4"),
		place("dc2-s1", topologies.Server, "10.0.1.1"),
	}
	plain := New(Options{})
	require.Equal(t, "-node dc1-s2 -datacenter dc1 -bind 10.0.0.2 -advertise 10.0.0.2 -client 0.0.0.0 -data-dir /data -session-ttl-min 1s "+
		"-retry-join 10.0.0.1 -retry-join 10.0.0.3 -retry-join-wan 10.0.1.1 -server -bootstrap-expect 3", strings.Join(plain.(agent).args(all[1], all), " "))
	require.Equal(t, "-node dc2-s1 -datacenter dc2 -bind 10.0.1.1 -advertise 10.0.1.1 -client 0.0.0.0 -data-dir /data -session-ttl-min 1s "+
		"-retry-join-wan 10.0.0.1 -retry-join-wan 10.0.0.2 -server -bootstrap-expect 1", strings.Join(plain.(agent).args(all[4], all), " "))
	special := New(Options{Defects: []string{"a", "b"}, RaftMultiplier: 2, Extra: []string{"-log-level", "debug"}})
	require.Equal(t, "-node dc1-c1 -datacenter dc1 -bind 10.0.0.4 -advertise 10.0.0.4 -client 0.0.0.0 -data-dir /data -session-ttl-min 1s "+
		"-retry-join 10.0.0.1 -retry-join 10.0.0.2 -retry-join 10.0.0.3 -raft-multiplier 2 -defect a -defect b -log-level debug",
		strings.Join(special.(agent).args(all[3], all), " "))
}

// TestArgsOfSpares: a spare knows the servers, nobody counts on it, and it makes no peer set.
func TestArgsOfSpares(t *testing.T) {
	all := []nodes.NodeInfo{
		place("dc1-s1", topologies.Server, "10.0.0.1"),
		place("dc1-s2", topologies.Server, "10.0.0.2"),
		place("dc1-x1", topologies.Spare, "10.0.0.3"),
	}
	system := New(Options{SnapshotThreshold: 100})
	const snapshots = " -raft-snapshot-threshold 100 -raft-trailing-logs 100 -raft-snapshot-interval 1s"
	require.Equal(t, "-node dc1-x1 -datacenter dc1 -bind 10.0.0.3 -advertise 10.0.0.3 -client 0.0.0.0 -data-dir /data -session-ttl-min 1s "+
		"-retry-join 10.0.0.1 -retry-join 10.0.0.2 -server"+snapshots, strings.Join(system.(agent).args(all[2], all), " "))
	require.Equal(t, "-node dc1-s1 -datacenter dc1 -bind 10.0.0.1 -advertise 10.0.0.1 -client 0.0.0.0 -data-dir /data -session-ttl-min 1s "+
		"-retry-join 10.0.0.2 -server -bootstrap-expect 2"+snapshots, strings.Join(system.(agent).args(all[0], all), " "))
}

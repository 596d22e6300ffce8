package faultline

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// knowing is a client of a server that knows some servers from a time on.
type knowing struct {
	nodes.Conn
	from    time.Time
	members []history.WANMember
}

func (k knowing) WANMembers(context.Context) ([]history.WANMember, error) {
	if time.Now().Before(k.from) {
		return nil, nodes.Errorf(history.NotReady, "not yet")
	}
	return k.members, nil
}

func TestTheServersOfAllDatacentersAreAwaited(t *testing.T) {
	layout := topologies.Topology{Name: "two", Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"a"}}, Clients: topologies.Members{Names: []string{"c"}}},
		{Name: "dc2", Servers: topologies.Members{Names: []string{"b"}}},
	}}
	whole := []history.WANMember{
		{Name: "a", DC: "dc1", Server: true, Status: history.MemberAlive},
		{Name: "b", DC: "dc2", Server: true, Status: history.MemberAlive},
	}
	for name, c := range map[string]struct {
		members []history.WANMember
		takes   time.Duration
		missing string
	}{
		"whole": {whole, 10 * time.Second, ""},
		"half":  {whole[:1], time.Minute, "to b, b of dc2 is not in the pool"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := history.NewMemory()
				began := time.Now()
				pool := newWANPool(layout, map[string]nodes.Conn{
					"a": knowing{members: whole}, "b": knowing{from: began.Add(9500 * time.Millisecond), members: c.members}}, log)
				require.Equal(t, "b does not tell the servers of all datacenters: not-ready", pool.missing(t.Context()))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				pool.await(ctx, t.Context())
				require.Equal(t, c.takes, time.Since(began))
				require.Equal(t, c.missing, pool.missing(t.Context()))

				events := log.Events()
				last := events[len(events)-1]
				require.Equal(t, history.FWan, last.F)
				require.Equal(t, "b", last.Node)
				var seen history.WANView
				require.NoError(t, json.Unmarshal(last.Value, &seen))
				require.Equal(t, c.members, seen.Members)
			})
		})
	}

	one := topologies.Topology{Name: "one", Datacenters: layout.Datacenters[:1]}
	alone := newWANPool(one, map[string]nodes.Conn{"a": knowing{}}, nil)
	require.Empty(t, alone.servers, "of one datacenter nobody is asked for others")
	require.Empty(t, alone.missing(t.Context()))
}

package compat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
)

// networks of two datacenters, beside that of the other test.
const networkOne, networkTwo = "127.83.20.", "127.83.21."

func TestHashiCorpsClientInTwoDatacenters(t *testing.T) {
	binary := buildAgent(t)
	one := startDatacenter(t, binary, "dc1", networkOne)
	two := startDatacenter(t, binary, "dc2", networkTwo, networkOne+"1")
	for _, a := range slices.Concat(one[:3], two[:3]) {
		eventually(t, a.name+" knows all servers", func() error {
			members, err := a.Agent().Members(true)
			alive := 0
			for _, m := range members {
				if m.Status == 1 && m.Tags["role"] == "consul" && m.Name == m.Name[:2]+"."+m.Tags["dc"] {
					alive++
				}
			}
			if err == nil && (alive != 6 || len(members) != 6) {
				return fmt.Errorf("%d of %d are alive servers", alive, len(members))
			}
			return err
		})
	}
	for _, a := range []*agent{one[0], one[3]} {
		t.Run(a.name, func(t *testing.T) {
			testDatacenters(t, a)
			there, here := "there of "+a.name, "here of "+a.name
			w := &api.WriteOptions{Datacenter: "dc2"}
			_, err := a.KV().Put(&api.KVPair{Key: "k", Value: []byte(there)}, w)
			require.NoError(t, err)
			_, err = a.KV().Put(&api.KVPair{Key: "k", Value: []byte(here)}, nil)
			require.NoError(t, err)
			for dc, want := range map[string]string{"": here, "dc1": here, "dc2": there} {
				for _, q := range []api.QueryOptions{{}, {RequireConsistent: true}} {
					q.Datacenter = dc
					pair, meta, err := a.KV().Get("k", &q)
					require.NoError(t, err)
					require.Equal(t, want, string(pair.Value), "in %q", dc)
					require.True(t, meta.KnownLeader)
				}
			}
			pair, _, err := a.KV().Get("k", &api.QueryOptions{Datacenter: "dc2"})
			require.NoError(t, err)
			pair.Value = []byte("swapped")
			swapped, _, err := a.KV().CAS(pair, w)
			require.NoError(t, err)
			require.True(t, swapped)
			testSessionElsewhere(t, a, w)
			_, _, err = a.KV().Get("k", &api.QueryOptions{Datacenter: "mars"})
			require.ErrorContains(t, err, "No path to datacenter")
		})
	}
}

func testDatacenters(t *testing.T, a *agent) {
	names, err := a.Catalog().Datacenters()
	require.NoError(t, err)
	require.Equal(t, []string{"dc1", "dc2"}, names)
	nodes, _, err := a.Catalog().Nodes(&api.QueryOptions{Datacenter: "dc2"})
	require.NoError(t, err)
	require.Len(t, nodes, 4)
	require.Equal(t, "dc2", nodes[0].Datacenter)
	eventually(t, "all servers have coordinates", func() error {
		maps, err := a.Coordinate().Datacenters()
		if err != nil {
			return err
		}
		for _, m := range maps {
			if m.AreaID != "wan" || len(m.Coordinates) != 3 || len(m.Coordinates[0].Coord.Vec) == 0 {
				return fmt.Errorf("%s has %d", m.Datacenter, len(m.Coordinates))
			}
		}
		return nil
	})
	leader, err := a.Status().LeaderWithQueryOptions(&api.QueryOptions{Datacenter: "dc2"})
	require.NoError(t, err)
	require.Contains(t, leader, networkTwo)
	set, err := a.Operator().RaftGetConfiguration(&api.QueryOptions{Datacenter: "dc2"})
	require.NoError(t, err)
	require.Len(t, set.Servers, 3)
}

func testSessionElsewhere(t *testing.T, a *agent, w *api.WriteOptions) {
	id, _, err := a.Session().CreateNoChecks(&api.SessionEntry{Node: "s1", TTL: "10s", LockDelay: time.Millisecond}, w)
	require.NoError(t, err)
	held, _, err := a.KV().Acquire(&api.KVPair{Key: "lock of " + a.name, Value: []byte("v"), Session: id}, w)
	require.NoError(t, err)
	require.True(t, held)
	entry, _, err := a.Session().Renew(id, w)
	require.NoError(t, err)
	require.Equal(t, id, entry.ID)
	_, err = a.Session().Destroy(id, w)
	require.NoError(t, err)
	pair, _, err := a.KV().Get("lock of "+a.name, &api.QueryOptions{Datacenter: "dc2"})
	require.NoError(t, err)
	require.Empty(t, pair.Session)
}

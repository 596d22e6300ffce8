package faultline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// sayer is a client of a node that says always the same of itself.
type sayer struct {
	nodes.Conn
	says history.Observation
}

func (s sayer) Observe(context.Context) (history.Observation, error) { return s.says, nil }

// A system that says nothing of leaders is ready once its nodes answer; one that has no terms can
// have a leader even so.
func TestReadinessAsksForLeadersOnlyWhereTheyAreTold(t *testing.T) {
	layout, err := topologies.Load("dc1-3")
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		says    history.Observation // every node, but s1, which says that it leads if leads
		leads   bool
		leaders bool
		leader  string
		refused string
	}{
		{"no leaders at all", history.Observation{}, false, false, "", ""},
		{"nobody leads", history.Observation{State: history.Follower}, false, true, "", "dc1-s1 follows no leader"},
		{"a leader without terms", history.Observation{State: history.Follower, Leader: "dc1-s1"}, true, true, "dc1-s1", ""},
		{"roles alone", history.Observation{State: history.Follower}, true, false, "dc1-s1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clients := map[string]nodes.Conn{}
				for _, n := range layout.Nodes() {
					says := c.says
					if c.leads && n.Name == "dc1-s1" {
						says.State, says.Leader = history.Leader, n.Name
					}
					clients[n.Name] = sayer{says: says}
				}
				o := &observer{nodes: layout.Nodes(), clients: clients, log: history.NewMemory(), broken: newBroken(), last: map[string]string{}, leaders: c.leaders}
				err := o.ready(t.Context(), time.Second)
				if c.refused == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.refused)
				}
				require.Equal(t, c.leader, o.askForLeader(t.Context(), "dc1"))
			})
		})
	}
}

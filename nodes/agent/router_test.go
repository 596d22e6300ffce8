package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/workloads/history"
)

// testRouter knows two servers of dc2 that are alive and one that failed, and draws the first that is left.
func testRouter() (r *router, now *time.Duration, members []gossip.Member) {
	for name, status := range map[string]gossip.Status{"1": gossip.Alive, "2": gossip.Alive, "3": gossip.Failed, "4": gossip.Left} {
		m := member("s"+name+".dc2", name, "10.0.1."+name+":8300", status)
		m.Tags.DC = "dc2"
		members = append(members, m)
	}
	now = new(time.Duration)
	r = &router{members: func() []gossip.Member { return members }, now: func() time.Duration { return *now },
		upTo: func(time.Duration) time.Duration { return 0 }, health: map[string]health{}, first: map[string]string{}}
	return r, now, members
}

func TestRouterPrefersWhoIsWell(t *testing.T) {
	const one, two, three = "10.0.1.1:8300", "10.0.1.2:8300", "10.0.1.3:8300"
	r, now, members := testRouter()
	unreachable, lost := nodes.Errorf(history.Unreachable, ""), nodes.Errorf(history.ForwardLost, "")
	pick := func(tried ...string) string {
		set := map[string]bool{}
		for _, t := range tried {
			set[t] = true
		}
		addr, err := r.pick("dc2", set)
		if err != nil {
			return string(nodes.CodeOf(err))
		}
		return addr
	}
	require.Contains(t, []string{one, two}, pick())
	require.Equal(t, three, pick(one, two), "gossip may be mistaken")
	require.Equal(t, string(history.DCFailed), pick(one, two, three), "one has left")

	r.note(one, false, lost)
	require.Equal(t, two, pick(), "another, while there is one")
	require.Equal(t, one, pick(two), "but before one that failed")
	r.note(one, true, nil)
	require.Empty(t, r.health)

	for _, addr := range []string{one, two, three} {
		r.note(addr, false, unreachable)
	}
	require.Equal(t, string(history.DCFailed), pick(), "all were tried a moment ago")
	*now += leastBackoff
	require.Contains(t, []string{one, two}, pick(), "and are again")
	for range 20 {
		r.note(one, false, unreachable)
	}
	require.LessOrEqual(t, r.health[one].until-*now, mostBackoff, "a heal is found soon, however long the cut")

	for i := range members {
		members[i].Status = gossip.Failed
	}
	require.Equal(t, string(history.DCDown), pick(one, two, three, "10.0.1.4:8300"))
	_, err := r.pick("dc3", nil)
	require.Equal(t, history.NoPath, nodes.CodeOf(err))
}

func TestDatacentersByDistance(t *testing.T) {
	maps := map[string]*dcMap{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		maps[name] = &dcMap{Datacenter: name}
	}
	ms := time.Millisecond
	reply := rankDatacenters("c", maps, map[string][]time.Duration{"a": {90 * ms, 10 * ms, 80 * ms}, "b": {20 * ms}, "c": {200 * ms}})
	require.Equal(t, []string{"c", "b", "a", "d", "e"}, reply.Names, "by the median; those of unknown distance last, by name")
	require.Equal(t, "c", reply.Maps[0].Datacenter)
}

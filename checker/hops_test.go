package checker

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// hopsOf reads "c1:client s2:follower s1:leader".
func hopsOf(text string) (hops []history.Hop) {
	for _, word := range strings.Fields(text) {
		node, role, _ := strings.Cut(word, ":")
		hops = append(hops, history.Hop{Node: node, Role: history.Role(role)})
	}
	return hops
}

func TestHops(t *testing.T) {
	layout := threeServers()
	layout.Datacenters[0].Clients = topologies.Members{Names: []string{"c1", "c2"}}
	layout.Datacenters[0].Spares = topologies.Members{Names: []string{"x1"}}
	for _, c := range []struct {
		hops string
		f    history.Op
		mode history.Mode
		end  history.Type
		says string // empty: it is as it should be
	}{
		{"s1:leader", "write", "", history.OK, ""},
		{"s2:follower s1:leader", "cas", "", history.OK, ""},
		{"c1:client s1:leader", "read", history.ModeDefault, history.OK, ""},
		{"c1:client s2:follower s1:leader", "acquire", "", history.OK, ""},
		{"x1:follower s1:leader", "write", "", history.OK, ""},
		{"s2:follower s3:follower s1:leader", "write", "", history.OK, ""}, // as leadership moves
		{"s2:follower", "read", history.ModeStale, history.OK, ""},
		{"c1:client s2:follower", "list", history.ModeStale, history.OK, ""},
		{"c1:client", "write", "", history.Fail, ""},
		{"c1:client s2:follower", "write", "", history.Info, ""},

		{"s2:follower", "write", "", history.OK, "no leader answered"},
		{"s2:follower", "write", history.ModeStale, history.OK, "no leader answered"},
		{"c1:client s2:follower", "read", history.ModeConsistent, history.OK, "no leader answered"},
		{"c1:client", "read", history.ModeStale, history.OK, "a client agent answered by itself"},
		{"s2:follower s3:follower s2:follower s1:leader", "write", "", history.OK, "s2 is there twice"},
		{"s2:follower s2:leader", "write", "", history.OK, "s2 is there twice"},
		{"s2:follower s3:follower s2:follower", "write", "", history.Info, "s2 is there twice"},
		{"s1:leader s2:leader", "write", "", history.OK, "a leader does not forward"},
		{"s1:leader s2:follower", "write", "", history.Fail, "a leader does not forward"},
		{"c1:client c2:client s1:leader", "write", "", history.OK, "nobody forwards to a client agent"},
		{"s2:client s1:leader", "write", "", history.OK, "s2 is a server"},
		{"c1:follower s1:leader", "write", "", history.OK, "c1 is a client"},
		{"s9:follower s1:leader", "write", "", history.OK, "there is no node s9"},
		{"s2:observer s1:leader", "write", "", history.OK, `nobody is a "observer"`},
	} {
		op := history.Operation{F: c.f, Mode: c.mode, Type: c.end, Hops: hopsOf(c.hops), Invoke: 1, Return: 2}
		op.Node = op.Hops[0].Node
		run := &Run{Topology: layout, Ops: []history.Operation{{F: "read", Type: history.OK, Return: 1}, op}}
		require.Empty(t, tellsHops(run))
		r := checkHops(context.Background(), run)
		if c.says == "" {
			require.Equal(t, Valid, r.Verdict, "%s: %s", c.hops, r.Summary)
			continue
		}
		require.Equal(t, Invalid, r.Verdict, c.hops)
		require.Contains(t, r.Summary, c.says)
		require.Len(t, r.Counterexamples, 1)
	}
	other := history.Operation{F: "write", Type: history.OK, Node: "s3", Hops: hopsOf("s1:leader")}
	r := checkHops(context.Background(), &Run{Topology: layout, Ops: []history.Operation{other}})
	require.Contains(t, r.Summary, "its first node is not the one that was asked")
	require.NotEmpty(t, tellsHops(&Run{Ops: []history.Operation{{F: "write"}}}))
}

// A follower that says before and after whom it follows forwards to that one.
func TestHopsOfAFollowerThatKnowsItsLeader(t *testing.T) {
	knows := func(leader string, term uint64) history.Observation {
		return history.Observation{State: history.Follower, Leader: leader, Term: term}
	}
	for _, c := range []struct {
		name          string
		before, after history.Observation
		at            int // ms of the one after
		hops          string
		astray        bool
	}{
		{"to the leader", knows("s1", 4), knows("s1", 4), 4000, "s2:follower s1:leader", false},
		{"to another", knows("s1", 4), knows("s1", 4), 4000, "s2:follower s3:follower s1:leader", true},
		{"to another, from a client agent", knows("s1", 4), knows("s1", 4), 4000, "c1:client s2:follower s3:follower s1:leader", true},
		{"to another, which was too late", knows("s1", 4), knows("s1", 4), 4000, "s2:follower s3:follower", true},
		{"the leader changed", knows("s1", 4), knows("s3", 5), 4000, "s2:follower s3:leader", false},
		{"and changed back", knows("s1", 4), knows("s1", 6), 4000, "s2:follower s3:leader", false},
		{"it knew nobody before", knows("", 4), knows("s1", 4), 4000, "s2:follower s3:leader", false},
		{"it knew nobody after", knows("s1", 4), knows("", 4), 4000, "s2:follower s3:leader", false},
		{"it has no terms", knows("s1", 0), knows("s1", 0), 4000, "s2:follower s3:leader", false},
		{"it did not answer after", knows("s1", 4), history.Observation{Error: "timeout"}, 4000, "s2:follower s3:leader", false},
		{"what it said after may be from before", knows("s1", 4), knows("s1", 4), 3199, "s2:follower s3:leader", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults).observe(900, "s2", c.before).observe(950, "s3", knows("s1", 4))
			tp.op(1000, 1200, "write", history.Fail, "timeout")
			run := tp.observe(c.at, "s2", c.after).observe(c.at, "s3", knows("s1", 4)).run(t, Settings{})
			run.Topology = threeServers()
			run.Topology.Datacenters[0].Clients = topologies.Members{Names: []string{"c1"}}
			run.Ops[0].Hops = hopsOf(c.hops)
			run.Ops[0].Node = run.Ops[0].Hops[0].Node
			r := checkHops(context.Background(), run)
			require.Equal(t, c.astray, r.Verdict == Invalid, r.Summary)
			if c.astray {
				require.Contains(t, r.Summary, "s2 forwarded to s3, though it knew s1 for its leader, at 0.900 s and at 4.000 s in term 4")
			}
		})
	}
	tp := &tape{}
	late := tp.phase(0, history.PhaseFaults).observe(1100, "s2", knows("s1", 4)).observe(4000, "s2", knows("s1", 4)).run(t, Settings{})
	follows, err := followings(late)
	require.NoError(t, err)
	op := history.Operation{Invoke: 1000e6, Return: 1200e6, Hops: hopsOf("s2:follower s3:leader")}
	require.Empty(t, follows.astray(&op), "it said nothing before it was asked")
	op.Invoke, op.Return = 1150e6, history.Pending
	require.Empty(t, follows.astray(&op), "nobody knows when it ended")
}

func TestHopsOfSeveralDatacenters(t *testing.T) {
	layout := topologies.Topology{Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"a1", "a2", "a3"}}, Clients: topologies.Members{Names: []string{"ac"}}},
		{Name: "dc2", Servers: topologies.Members{Names: []string{"b1", "b2", "b3"}}, Clients: topologies.Members{Names: []string{"bc"}}},
		{Name: "dc3", Servers: topologies.Members{Names: []string{"c1"}}},
	}}
	for _, c := range []struct {
		hops, dc string
		mode     history.Mode
		end      history.Type
		says     string // empty: it is as it should be
	}{
		{"a1:leader", "", "", history.OK, ""},
		{"a1:leader", "dc1", "", history.OK, ""},
		{"a2:follower a3:follower a1:leader", "dc1", "", history.OK, ""},
		{"a2:follower b1:leader", "dc2", "", history.OK, ""},
		{"a1:leader b1:leader", "dc2", "", history.OK, ""}, // it leads its own, which matters to nobody
		{"ac:client a2:follower b2:follower b1:leader", "dc2", "", history.OK, ""},
		{"ac:client a1:leader b2:follower", "dc2", history.ModeStale, history.OK, ""},
		{"ac:client", "dc2", "", history.Fail, ""},
		{"a2:follower", "dc2", "", history.Fail, ""},
		{"a1:leader", "dc2", "", history.Fail, ""}, // it found no way
		{"a2:follower b2:follower", "dc2", "", history.Info, ""},

		{"a1:leader", "dc2", "", history.OK, "nobody of dc2 answered, which was meant"},
		{"a2:follower a1:leader", "dc2", "", history.OK, "nobody of dc2 answered"},
		{"a2:follower", "dc2", history.ModeStale, history.OK, "nobody of dc2 answered"},
		{"a2:follower b1:leader", "dc1", "", history.OK, "b1 is in dc2, and dc1 was meant"},
		{"a2:follower c1:leader", "dc2", "", history.OK, "c1 is in dc3, and dc2 was meant"},
		{"a2:follower c1:leader b1:leader", "dc2", "", history.OK, "c1 is in dc3, and dc2 was meant"},
		{"a2:follower b1:follower a1:leader", "dc2", "", history.OK, "it had come to dc2, which was meant, and went back to a1"},
		{"a2:follower b2:follower a3:follower b3:follower", "dc2", "", history.Fail, "it had come to dc2, which was meant, and went back to a3"},
		{"a2:follower a3:follower b1:leader", "dc2", "", history.OK, "2 servers of dc1 passed it on"},
		{"a2:follower b2:follower b3:follower b1:leader", "dc2", "", history.OK, "it came through 3 servers of dc2"},
		{"a2:follower b1:leader b2:leader", "dc2", "", history.OK, "a leader does not forward"},
		{"a2:follower bc:client b1:leader", "dc2", "", history.OK, "nobody forwards to a client agent"},
		{"a2:follower b2:follower", "dc2", "", history.OK, "no leader answered"},
	} {
		op := history.Operation{F: "write", DC: c.dc, Mode: c.mode, Type: c.end, Hops: hopsOf(c.hops), Invoke: 1, Return: 2}
		if c.mode != "" {
			op.F = history.OpRead
		}
		op.Node = op.Hops[0].Node
		r := checkHops(context.Background(), &Run{Topology: layout, Ops: []history.Operation{op}})
		if c.says == "" {
			require.Equal(t, Valid, r.Verdict, "%s: %s", c.hops, r.Summary)
			continue
		}
		require.Equal(t, Invalid, r.Verdict, c.hops)
		require.Contains(t, r.Summary, c.says)
	}
}

// Whom a follower knows for its leader matters only of its own datacenter.
func TestAFollowerMayForwardToAnotherDatacenter(t *testing.T) {
	for hops, astray := range map[string]bool{"a:follower c:leader": false, "a:follower d:follower c:leader": false, "a:follower b:leader": true} {
		tp := &tape{}
		tp.observe(900, "a", history.Observation{State: history.Follower, Leader: "x", Term: 4})
		tp.observe(900, "d", history.Observation{State: history.Follower, Leader: "c", Term: 4})
		dc := "dc2"
		if astray {
			dc = "dc1"
		}
		tp.far(1000, 1200, "a", dc, history.Event{F: history.OpWrite, Key: "k", Value: history.Int(1), Hops: hopsOf(hops)})
		tp.observe(4000, "a", history.Observation{State: history.Follower, Leader: "x", Term: 4})
		tp.observe(4000, "d", history.Observation{State: history.Follower, Leader: "c", Term: 4})
		r := checkHops(context.Background(), tp.runOf(t, twoDCs(), Settings{}))
		require.Equal(t, astray, r.Verdict == Invalid, "%s: %s", hops, r.Summary)
	}
}

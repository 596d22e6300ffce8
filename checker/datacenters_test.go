package checker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// twoDCs is a and b in dc1, c and d in dc2, and a client agent e there.
func twoDCs() topologies.Topology {
	return topologies.Topology{Name: "two", Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"a", "b"}}},
		{Name: "dc2", Servers: topologies.Members{Names: []string{"c", "d"}}, Clients: topologies.Members{Names: []string{"e"}}},
	}}
}

// far records an operation that a node is asked for the data of a datacenter, by a process of its own.
func (tp *tape) far(from, to int, node, dc string, e history.Event) *tape {
	e.Process, e.Node, e.DC = tp.next, node, dc
	tp.next++
	end := e
	e.Type, e.Error, e.Hops, e.Current, e.ModifyIndex, e.AgeMS = history.Invoke, "", nil, nil, 0, 0
	if e.F.Reads() {
		e.Value = nil
	}
	if end.Type == "" {
		end.Type = history.OK
	}
	tp.add(from, e)
	return tp.add(to, end)
}

func writeOf(key string, value int64) history.Event {
	return history.Event{F: history.OpWrite, Key: key, Value: history.Int(value)}
}

func readOf(key string, value int64) history.Event {
	return history.Event{F: history.OpRead, Key: key, Value: history.Int(value), Mode: history.ModeDefault}
}

// runOf is a run of several datacenters.
func (tp *tape) runOf(t testing.TB, layout topologies.Topology, s Settings) *Run {
	run := tp.run(t, s)
	run.Topology = layout
	return run
}

func TestTheRunInADatacenter(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults)
	tp.far(1, 2, "a", "dc1", writeOf("k", 1)).far(3, 4, "a", "dc2", writeOf("k", 2)).far(5, 6, "e", "dc1", readOf("k", 1)).far(7, 8, "d", "", readOf("k", 2))
	tp.observe(9, "a", history.Observation{State: "Leader", Term: 1}).observe(10, "e", history.Observation{})
	tp.process(11, "a", history.ProcessEvent{Kind: history.ProcessStarted})
	tp.begin(12, 0).heal(13, 0).phase(14, history.PhaseEnd)
	run := tp.runOf(t, twoDCs(), Settings{Workload: "register"})
	part := run.In("dc2")
	require.Len(t, part.Ops, 2)
	require.Equal(t, "a", part.Ops[0].Node, "wherever it was asked for")
	require.Equal(t, "d", part.Ops[1].Node, "what means no datacenter means that of the node")
	require.Equal(t, []topologies.Node{{Name: "c", DC: "dc2", Role: topologies.Server}, {Name: "d", DC: "dc2", Role: topologies.Server},
		{Name: "e", DC: "dc2", Role: topologies.Client}}, part.Topology.Nodes())
	require.Len(t, run.Topology.Datacenters, 2, "the run itself is left alone")
	count := map[history.Process]int{}
	for _, e := range part.Events {
		count[min(e.Process, 0)]++
	}
	require.Equal(t, map[history.Process]int{0: 4, history.Observer: 1, history.Runtime: 1, history.Harness: 2, history.Nemesis: 4}, count)
	require.Equal(t, run.Faults, part.Faults)
	ops, err := history.Operations(part.Events)
	require.NoError(t, err)
	require.Equal(t, part.Ops, ops, "events and operations are of one datacenter")
}

func TestEachDatacenterIsJudgedByItself(t *testing.T) {
	good := func() *tape {
		tp := &tape{}
		tp.far(1, 2, "a", "dc1", writeOf("k", 1)).far(3, 4, "a", "dc2", writeOf("k", 2))
		return tp.far(5, 6, "c", "dc1", readOf("k", 1)).far(7, 8, "c", "dc2", readOf("k", 2))
	}
	judge := func(tp *tape) Result {
		return judgeOne(context.Background(), tp.runOf(t, twoDCs(), Settings{Workload: "register"}), Linearizable())
	}
	r := judge(good())
	require.Equal(t, Valid, r.Verdict, r.Reasons)
	require.Equal(t, "dc1: all 1 keys linearizable (2 operations); dc2: all 1 keys linearizable (2 operations)", r.Summary)
	require.Equal(t, "dc1: keys", r.Metrics[0].Name)
	require.NotNil(t, r.Budget)

	r = judge(good().far(9, 10, "a", "dc2", writeOf("k", 3)).far(11, 12, "b", "dc2", readOf("k", 2)))
	require.Equal(t, Invalid, r.Verdict)
	require.Contains(t, r.Summary, "dc2: 1 of 1 keys not linearizable: ")
	require.Contains(t, r.Reasons[0], "dc2: key k: ")
	require.Len(t, r.Counterexamples, 1)
	require.Equal(t, "dc2: k", r.Counterexamples[0].Key)

	none := judge((&tape{}).far(1, 2, "a", "dc1", writeOf("k", 1)).far(3, 4, "b", "dc1", readOf("k", 1)))
	require.Equal(t, Unknown, none.Verdict, "nothing was tested in one of them")
	require.Contains(t, none.Summary, "dc2: no operation saw a value")
}

func TestTwoDatacentersHaveTwoLeaders(t *testing.T) {
	lead := func(nodes ...string) Verdict {
		tp := &tape{}
		for i := range 4 {
			for j, n := range nodes {
				tp.observe(100*i+j, n, history.Observation{BootID: n, State: "Leader", Term: 7, Commit: 5, Applied: 5, Last: 5})
			}
		}
		for _, c := range All() {
			if c.Name == "raft" {
				return judgeOne(context.Background(), tp.runOf(t, twoDCs(), Settings{}), c).Verdict
			}
		}
		return ""
	}
	require.Equal(t, Valid, lead("a", "c"))
	require.Equal(t, Invalid, lead("a", "b", "c"))
}

func TestResultsOfDatacentersTogether(t *testing.T) {
	verdicts := map[string]Verdict{}
	c := PerDatacenter(Checker{Name: "c",
		Needs: func(run *Run) string {
			if dc := run.Topology.Datacenters[0].Name; verdicts[dc] == NotApplicable {
				return "lacking " + dc
			}
			return ""
		},
		Check: func(_ context.Context, run *Run) Result {
			dc := run.Topology.Datacenters[0].Name
			return Result{Verdict: verdicts[dc], Summary: "about " + dc, Reasons: []string{"why " + dc}}
		}})
	for _, want := range []struct {
		dc1, dc2, both Verdict
		says, reason   string
	}{
		{Valid, Valid, Valid, "dc1: about dc1; dc2: about dc2", "dc1: why dc1"},
		{Valid, Unknown, Unknown, "dc2: about dc2", "dc2: why dc2"},
		{Invalid, Unknown, Invalid, "dc1: about dc1", "dc1: why dc1"},
		{Unknown, Invalid, Invalid, "dc2: about dc2", "dc2: why dc2"},
		{NotApplicable, Valid, Valid, "dc1: lacking dc1; dc2: about dc2", "dc2: why dc2"},
		{NotApplicable, Invalid, Invalid, "dc2: about dc2", "dc2: why dc2"},
		{NotApplicable, NotApplicable, NotApplicable, "lacking dc1", ""},
	} {
		verdicts["dc1"], verdicts["dc2"] = want.dc1, want.dc2
		r := judgeOne(context.Background(), &Run{Topology: twoDCs()}, c)
		require.Equal(t, want.both, r.Verdict)
		require.Equal(t, want.says, r.Summary)
		if want.reason != "" {
			require.Equal(t, want.reason, r.Reasons[0], "the worst first")
		}
	}
}

// A run of one datacenter is judged as if there were no others in the world.
func TestOneDatacenterIsJudgedAsEver(t *testing.T) {
	seen := 0
	run := &Run{Topology: topologies.Topology{Datacenters: []topologies.Datacenter{{Name: "dc1"}}}}
	c := PerDatacenter(Checker{Check: func(_ context.Context, got *Run) Result {
		require.Same(t, run, got)
		seen++
		return Result{Verdict: Invalid, Summary: "s", Reasons: []string{"r"}, Metrics: []Metric{{Name: "m"}}, Counterexamples: []Counterexample{{Key: "k"}}}
	}})
	r := c.Check(context.Background(), run)
	require.Equal(t, Result{Verdict: Invalid, Summary: "s", Reasons: []string{"r"}, Metrics: []Metric{{Name: "m"}}, Counterexamples: []Counterexample{{Key: "k"}}}, r)
	require.Equal(t, 1, seen)
}

func TestACheckerOfSomeKeys(t *testing.T) {
	ops := []history.Operation{{Key: "register/k"}, {Key: "locks/k"}, {F: history.OpCreate}, {Key: "lists/register/"}}
	var got []string
	see := Checker{
		Needs: func(run *Run) string {
			if run.Settings.Workload != "lock" {
				return ""
			}
			return "a lock"
		},
		Check: func(_ context.Context, run *Run) Result {
			got = nil
			for _, op := range run.Ops {
				got = append(got, op.Key)
			}
			return Result{}
		},
	}
	run := &Run{Ops: ops}
	OnKeys(see, "register", "register/").Check(context.Background(), run)
	require.Equal(t, []string{"register/k"}, got)
	OnKeys(see, "lock", "locks/").Check(context.Background(), run)
	require.Equal(t, []string{"locks/k", ""}, got, "sessions belong to locks")
	OnKeys(see, "", "locks/", "lists/").Check(context.Background(), run)
	require.Equal(t, []string{"locks/k", "lists/register/"}, got)
	require.Equal(t, "a lock", OnKeys(see, "lock", "").Needs(run))
	require.Equal(t, ops, run.Ops)
}

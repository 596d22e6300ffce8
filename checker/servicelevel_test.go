package checker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// levels is a run of two datacenters over lossy links, whose clients did so much, 10 ms apart each.
func levels(t *testing.T, ops []history.Operation, stated ...ServiceLevel) *Run {
	t.Helper()
	two, err := topologies.Parse("t.yaml", []byte("name: t\ndatacenters: [{name: dc1, servers: 1}, {name: dc2, servers: 1}]\n"+
		"links:\n  - {between: [dc1, dc2], loss: 0.05, delay: 20ms}\n"))
	require.NoError(t, err)
	for _, l := range stated {
		require.NoError(t, l.Check())
		require.NoError(t, l.Fits(two))
	}
	run := &Run{Topology: two, Ops: ops, Settings: Settings{ServiceLevels: stated}}
	for i := range ops {
		ops[i].Invoke = int64(i) * 10e6
		if ops[i].Return != history.Pending {
			ops[i].Return += ops[i].Invoke
		}
	}
	end := int64(len(ops)+1) * 10e6
	for at := int64(0); at <= end; at += 1e9 { // the harness is alive
		run.Events = append(run.Events, history.Event{Index: int64(len(run.Events)), Time: at, Process: history.Observer, Type: history.Info, F: history.FObserve, Node: "dc1-s1"})
	}
	phase := history.Event{Process: history.Harness, Type: history.Info, F: history.FPhase, Value: []byte(`"faults"`)}
	run.Events = append([]history.Event{phase}, run.Events...)
	return run
}

// times are n operations of one kind that took so long.
func times(n int, took time.Duration, edit func(*history.Operation)) (ops []history.Operation) {
	for range n {
		op := history.Operation{F: history.OpRead, Node: "dc1-s1", Type: history.OK, Return: int64(took)}
		if edit != nil {
			edit(&op)
		}
		ops = append(ops, op)
	}
	return ops
}

func refused(op *history.Operation) { op.Type, op.Error = history.Fail, history.NoLeader }

func TestServiceLevels(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		level ServiceLevel
		ops   []history.Operation
		want  Verdict
		says  string
	}{
		{"enough are served", ServiceLevel{Success: 0.99}, slices.Concat(times(1999, ms, nil), times(1, ms, refused)), Valid, "all operations: 1999 of 2000 operations were served: 99.95 %"},
		{"too few are served", ServiceLevel{Success: 0.99}, slices.Concat(times(950, ms, nil), times(50, ms, refused)), Invalid,
			"all operations: 950 of 1000 operations were served: 95 %, by 95 % between 93.47 and 96.19 %; the level is 99 %"},
		{"a compare that did not hold is served", ServiceLevel{Success: 0.9}, times(100, ms, func(op *history.Operation) { op.Type, op.Error = history.Fail, history.CASMismatch }), Valid, ""},
		{"too few operations to tell", ServiceLevel{Success: 0.999}, times(1000, ms, nil), Unknown, "to tell, it would take about 4"},
		{"so close that nothing tells", ServiceLevel{Success: 0.5}, slices.Concat(times(10, ms, nil), times(10, ms, refused)), Unknown, "no number of operations within reach tells"},
		{"none at all", ServiceLevel{Success: 0.9, Op: history.OpWrite}, times(1000, ms, nil), Unknown, "write: 0 of 0 operations were served"},
		{"quick enough", ServiceLevel{P99: 2 * time.Second}, slices.Concat(times(997, ms, nil), times(3, 3*time.Second, nil)), Valid, "p99 is 1.0 ms, and 3 of 1000 operations took longer than 2000 ms"},
		{"exactly so long is quick enough", ServiceLevel{P99: 2 * time.Second}, times(500, 2*time.Second, nil), Valid, "0 of 500 operations took longer"},
		{"too slow", ServiceLevel{P99: 2 * time.Second}, slices.Concat(times(970, ms, nil), times(30, 3*time.Second, nil)), Invalid, "p99 is 3000 ms, and 30 of 1000"},
		{"a median", ServiceLevel{P50: 2 * ms}, slices.Concat(times(30, ms, nil), times(70, 3*ms, nil)), Invalid, "p50 is 3.0 ms"},
		{"too few for a quantile", ServiceLevel{P99: 2 * time.Second}, times(300, ms, nil), Unknown, "to tell, it would take about 3"},
		{"what failed is not quick", ServiceLevel{P99: 2 * time.Second}, slices.Concat(times(400, ms, nil), times(400, 3*time.Second, refused)), Valid, "0 of 400 operations"},
		{"both, one of which is broken", ServiceLevel{Success: 0.9, P99: time.Second}, times(1000, 3*time.Second, nil), Invalid, "p99 is 3000 ms"},
		{"of one operation", ServiceLevel{Op: history.OpWrite, Success: 0.9}, slices.Concat(times(500, ms, refused), times(500, ms, func(op *history.Operation) { op.F = history.OpWrite })), Valid, "write: 500 of 500"},
		{"of one mode", ServiceLevel{Mode: history.ModeStale, Success: 0.9}, slices.Concat(times(500, ms, refused), times(500, ms, func(op *history.Operation) { op.Mode = history.ModeStale })), Valid, "stale: 500 of 500"},
		{"forwarded", ServiceLevel{Requests: Forwarded, P50: 2 * ms}, slices.Concat(times(500, ms, nil), times(500, 40*ms, func(op *history.Operation) { op.DC = "dc2" })), Invalid, "forwarded: p50 is 40 ms"},
		{"local", ServiceLevel{Requests: Local, P50: 2 * ms}, slices.Concat(times(500, ms, func(op *history.Operation) { op.DC = "dc1" }), times(500, 40*ms, func(op *history.Operation) { op.DC = "dc2" })), Valid, "local: p50 is 1.0 ms"},
		{"from one", ServiceLevel{From: "dc2", P50: 2 * ms}, slices.Concat(times(500, ms, nil), times(500, 40*ms, func(op *history.Operation) { op.Node = "dc2-s1" })), Invalid, "from dc2: p50 is 40 ms"},
		{"to another", ServiceLevel{From: "dc1", To: "dc2", P50: 2 * ms}, slices.Concat(times(500, ms, nil), times(500, 40*ms, func(op *history.Operation) { op.DC = "dc2" })), Invalid, "from dc1 to dc2: p50 is 40 ms"},
		{"at such links", ServiceLevel{When: "wan.loss <= 0.05 and wan.rtt = 40ms", Success: 0.9}, times(500, ms, refused), Invalid, "at wan.loss <= 0.05 and wan.rtt = 40ms: 0 of 500"},
		{"a watch waits", ServiceLevel{P50: 2 * ms}, slices.Concat(times(500, ms, nil), times(5000, time.Minute, func(op *history.Operation) { op.F = history.OpWatch })), Valid, "0 of 500"},
		{"what is open when the record ends", ServiceLevel{Success: 0.9}, slices.Concat(times(500, ms, nil), times(500, ms, func(op *history.Operation) {
			op.Type, op.Error, op.Return = history.Info, "unanswered", history.Pending
		})), Valid, "500 of 500"},
		{"a timeout is not served", ServiceLevel{Success: 0.9}, times(500, ms, func(op *history.Operation) { op.Type, op.Error, op.Return = history.Info, "timeout", history.Pending }), Invalid, "0 of 500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := levels(t, c.ops, c.level)
			require.Empty(t, statesLevels(run))
			r := checkServiceLevel(t.Context(), run)
			require.Equal(t, c.want, r.Verdict, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestALevelThatDoesNotHoldHereSaysNothing(t *testing.T) {
	bad := times(500, time.Millisecond, refused)
	run := levels(t, bad, ServiceLevel{When: "wan.loss < 0.05", Success: 0.9})
	require.Equal(t, "none of the service levels is stated for links like these: at wan.loss < 0.05", statesLevels(run))
	run.Settings.ServiceLevels = append(run.Settings.ServiceLevels, ServiceLevel{Success: 0.1, Op: history.OpWrite})
	require.Empty(t, statesLevels(run))
	require.Equal(t, Unknown, checkServiceLevel(t.Context(), run).Verdict, "of the other nothing is known")
	require.Equal(t, "the scenario states no service levels", statesLevels(levels(t, bad)))
}

// What the harness did to its clients is nobody's fault.
func TestABrokenLevelIsExcused(t *testing.T) {
	run := levels(t, times(500, time.Second, nil), ServiceLevel{P99: time.Millisecond})
	require.Equal(t, Invalid, checkServiceLevel(t.Context(), run).Verdict)
	run.Events = append(run.Events, history.Event{Time: runEnd(run) + 10e9, Process: history.Observer, F: history.FObserve})
	r := checkServiceLevel(t.Context(), run)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Reasons[1], "the harness stood still from ")
}

// A system that serves exactly as well as the level asks for is called broken about once in forty runs, one that serves a
// little better hardly ever.
func TestLevelsAreRarelyBrokenByChance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	broken := func(chance float64) (n int) {
		for range 100 {
			s := Service{Asked: 1000}
			for range s.Asked {
				if random.Float64() >= chance {
					s.Served++
					took := int64(time.Millisecond)
					if random.Float64() < chance {
						took = int64(time.Second)
					}
					s.took = append(s.took, took)
				}
			}
			slices.Sort(s.took)
			if judgeSuccess(s, 0.99).verdict == Invalid || judgeLatency(s, "p99", 0.99, 500*time.Millisecond).verdict == Invalid {
				n++
			}
		}
		return n
	}
	require.Less(t, broken(0.01), 18, "two levels, each by 2.5 %")
	require.Zero(t, broken(0.004))
	require.Equal(t, 100, broken(0.05))
}

func TestLevelsThatSayNothingAreRefused(t *testing.T) {
	for want, l := range map[string]ServiceLevel{
		"it states neither success nor p50 nor p99":                                                         {},
		"success 1: want a share below 1, such as 0.999; that all are served no number of operations shows": {Success: 1},
		"p50 0s, p99 -1s: want times of more than 0":                                                        {P99: -time.Second},
		`requests "remote": want forwarded or local`:                                                        {Requests: "remote", Success: 0.9},
		"a watch is meant to wait, so it has no service level":                                              {Op: history.OpWatch, Success: 0.9},
		`when: "wan.loss" is no comparison, such as wan.loss <= 0.05; several are joined by and`:            {When: "wan.loss", Success: 0.9},
		`when: wan.loss "much": want a number of 0 or more, such as 0.05`:                                   {When: "wan.loss <= much", Success: 0.9},
	} {
		require.EqualError(t, l.Check(), want)
	}
	require.ErrorContains(t, ServiceLevel{When: "lan.loss < 1", Success: 0.9}.Check(), `when: no "lan.loss"; there is wan.loss, `)
	run := levels(t, nil)
	require.EqualError(t, ServiceLevel{To: "dc9", Success: 0.9}.Fits(run.Topology), `no datacenter "dc9" in topology t`)
}

func TestConditions(t *testing.T) {
	run := levels(t, nil) // loss 0.05, round trip 40 ms
	three, err := topologies.Parse("t.yaml", []byte("name: t\ndatacenters: [{name: a, servers: 1}, {name: b, servers: 1}, {name: c, servers: 1}]\n"+
		"links:\n  - {between: [a, b], loss: 0.2}\n"))
	require.NoError(t, err)
	one, err := topologies.Parse("t.yaml", []byte("name: t\ndatacenters: [{name: a, servers: 3}]\n"))
	require.NoError(t, err)
	for _, c := range []struct {
		t        topologies.Topology
		when     Condition
		from, to string
		want     bool
	}{
		{run.Topology, "", "", "", true}, {one, "", "", "", true},
		{run.Topology, "wan.loss <= 0.05", "", "", true}, {run.Topology, "wan.loss < 0.05", "", "", false},
		{run.Topology, "wan.loss = 0.05  and  wan.rtt >= 40ms", "", "", true}, {run.Topology, "wan.loss = 0.05 and wan.rtt > 40ms", "", "", false},
		{three, "wan.loss <= 0.1", "", "", false}, {three, "wan.loss <= 0.1", "a", "b", false}, {three, "wan.loss <= 0.1", "b", "a", false},
		{three, "wan.loss <= 0.1", "a", "c", true}, {three, "wan.loss <= 0.1", "a", "", false}, {three, "wan.loss <= 0.1", "", "c", true},
		{three, "wan.loss <= 0.1", "c", "c", false}, {three, "wan.loss > 0", "", "", false},
		{one, "wan.loss <= 1", "", "", false},
	} {
		require.Equal(t, c.want, c.when.holds(c.t, c.from, c.to), "%s of %s from %q to %q", c.when, c.t.Name, c.from, c.to)
	}
}

func FuzzCondition(f *testing.F) {
	f.Add("wan.loss <= 0.05 and wan.rtt < 300ms")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Condition(text).parse()
		if err != nil {
			return
		}
		again := ""
		for i, c := range all {
			if i > 0 {
				again += " and "
			}
			again += c.text
		}
		same, err := Condition(again).parse()
		require.NoError(t, err)
		require.Len(t, same, len(all))
		for i := range all {
			require.Equal(t, all[i].value, same[i].value)
			require.Equal(t, all[i].by, same[i].by)
		}
	})
}

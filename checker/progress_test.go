package checker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

func serversNamed(names ...string) topologies.Topology {
	return topologies.Topology{Name: "named", Datacenters: []topologies.Datacenter{{Name: "dc1", Servers: topologies.Members{Names: names}}}}
}

// shown is the evidence that these servers are as asked.
func shown(want, part faults.Conditions, names ...string) *faults.Evidence {
	got := faults.Measurement{Links: map[faults.Pair]faults.LinkMeasurement{}, Processes: want.Processes, Clocks: map[string]faults.ClockMeasurement{}, Disks: map[string]faults.DiskMeasurement{}}
	cut := func(l faults.Pair) bool { return want.Links[l].Drop || want.Links[l].Reject }
	for _, a := range names {
		for _, b := range names {
			there, back := faults.Pair{From: a, To: b}, faults.Pair{From: b, To: a}
			switch {
			case a == b:
			case cut(there) || cut(back):
				got.Links[there] = faults.LinkMeasurement{UDP: !cut(there), TCP: faults.TCPTimeout}
			default:
				got.Links[there] = faults.LinkMeasurement{UDP: true, TCP: faults.TCPOpen}
			}
		}
	}
	return &faults.Evidence{Want: &want, Part: part, Nodes: names, Got: &got}
}

// stage records a stage of a fault that takes 10 ms.
func (tp *tape) stage(ms int, m history.FaultEvent, e *faults.Evidence) *tape {
	tp.mark(ms, "fault", string(encode(m)))
	m.Done, m.Evidence = true, e
	return tp.mark(ms+10, "fault", string(encode(m)))
}

// What is wrong with one that is heard, or with a link, leaves a doubt.
func TestNoMajorityIsSurelyWell(t *testing.T) {
	slow, late, lossy := faults.Conditions{}, faults.Conditions{}, faults.Conditions{}
	slow.Disks = map[string]faults.Disk{"e": {SlowSync: time.Second}}
	late.Clocks = map[string]faults.Clock{"e": {Offset: -time.Hour}}
	lossy.Cut([]string{"a"}, []string{"b"}, faults.Link{Loss: 0.5})
	for _, asked := range []faults.Conditions{slow, late, lossy} {
		w := windows{run: &Run{Topology: serversNamed(five...)}, asked: &asked}
		require.Nil(t, w.majority(), "%v", asked)
	}
	w := windows{run: &Run{Topology: serversNamed(five...)}, asked: &faults.Conditions{}}
	require.Equal(t, five, w.majority())
	w.run.Topology.Datacenters = append(w.run.Topology.Datacenters, topologies.Datacenter{Name: "dc2", Servers: topologies.Members{Count: 3}})
	require.Nil(t, w.majority(), "each datacenter has leaders of its own")
	w.run.Topology = serversNamed("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m")
	require.Nil(t, w.majority(), "too many to look at")
}

var five = []string{"a", "b", "c", "d", "e"}

// broken is what the cluster of five is asked to be like, by what is wrong with some.
func broken(states map[string]faults.ProcessState, cuts ...string) (c faults.Conditions) {
	for node, state := range states {
		c.SetProcess([]string{node}, state)
	}
	for _, cut := range cuts { // "a>b" drops one direction, "a-b" both
		from, to := cut[:1], cut[2:]
		c.Cut([]string{from}, []string{to}, faults.Link{Drop: true})
		if cut[1] == '-' {
			c.Cut([]string{to}, []string{from}, faults.Link{Drop: true})
		}
	}
	return c
}

func TestMajorityWindows(t *testing.T) {
	type states = map[string]faults.ProcessState
	start := history.FaultEvent{Step: 0, Stage: history.FaultStart, Lasts: true, Targets: []string{"e"}}
	heal := history.FaultEvent{Step: 0, Stage: history.FaultHeal, Lasts: true}
	fault := func(c faults.Conditions, edit ...func(*history.FaultEvent, *faults.Evidence)) func(*tape) {
		return func(tp *tape) {
			m, e := start, shown(c, c, five...)
			for _, edit := range edit {
				edit(&m, e)
			}
			tp.stage(1000, m, e)
		}
	}
	for _, c := range []struct {
		name   string
		record func(*tape)
		want   string // of the first window; empty if there is none before the heal
	}{
		{"two are killed", fault(broken(states{"d": faults.Killed, "e": faults.Wiped})), "[a b c]"},
		{"one is paused", fault(broken(states{"b": faults.Paused})), "[a c d e]"},
		{"two are cut off", fault(broken(nil, "a-c", "a-d", "a-e", "b-c", "b-d", "b-e")), "[c d e]"},
		{"one is dead, one cut off", fault(broken(states{"a": faults.Wiped}, "b-c", "b-d", "b-e")), "[c d e]"},
		{"three are killed", fault(broken(states{"c": faults.Killed, "d": faults.Killed, "e": faults.Killed})), ""},
		{"one is heard and does not hear", fault(broken(nil, "a>e", "b>e", "c>e", "d>e")), ""},
		{"one is cut off from all but one", fault(broken(nil, "e-a", "e-b", "e-c")), ""},
		{"a link within the majority is cut", fault(broken(states{"e": faults.Killed}, "a-b")), ""},
		{"nothing was measured", fault(broken(states{"e": faults.Killed}), func(_ *history.FaultEvent, e *faults.Evidence) { e.Got = nil }), ""},
		{"it did not come true", fault(broken(states{"e": faults.Killed}), func(_ *history.FaultEvent, e *faults.Evidence) { e.Got.Processes = nil }), ""},
		{"it takes members out", fault(broken(states{"e": faults.Killed}), func(m *history.FaultEvent, _ *faults.Evidence) { m.Rejoins = true }), ""},
		{"it may end one that is asked to run", fault(broken(states{"d": faults.Killed}), func(m *history.FaultEvent, _ *faults.Evidence) { m.Exits = true }), ""},
		{"it may end one that is dead already", fault(broken(states{"e": faults.Killed}), func(m *history.FaultEvent, _ *faults.Evidence) { m.Exits = true }), "[a b c d]"},
		{"it is still being made", func(tp *tape) { tp.mark(1000, "fault", string(encode(start))) }, ""},
		{"another is being made", func(tp *tape) {
			fault(broken(states{"e": faults.Killed}))(tp)
			tp.events = append(tp.events[:1:1], append([]history.Event{{Time: 1e9, Process: history.Nemesis, Type: history.Info, F: "other",
				Value: []byte(`{"step":1,"stage":"start"}`)}}, tp.events[1:]...)...)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults)
			c.record(tp)
			run := tp.phase(9000, history.PhaseFinal).phase(9500, history.PhaseEnd).run(t, bound(time.Second))
			run.Topology = serversNamed(five...)
			got, err := majorityWindows(run)
			require.NoError(t, err)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, c.want, fmt.Sprint(got[0].servers))
			require.EqualValues(t, 1010e6, got[0].from)
			require.EqualValues(t, 9000e6, got[0].to)
		})
	}

	// One after the other: each change ends a window, and what is not verified keeps the next from
	// beginning until all is known again.
	dead := broken(states{"e": faults.Killed})
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).stage(1000, start, shown(dead, dead, five...))
	tp.stage(2000, history.FaultEvent{Step: 1, Stage: history.FaultStart, Targets: []string{"a"}}, &faults.Evidence{Findings: []faults.Finding{{About: "leader", Want: faults.AtLeast, Least: 1, Count: 1}}})
	tp.stage(3000, history.FaultEvent{Step: 2, Stage: history.FaultStart}, &faults.Evidence{Error: "no leader to hit"})
	tp.stage(4000, heal, shown(faults.Conditions{}, faults.Conditions{}, five...))
	tp.stage(5000, history.FaultEvent{Step: 3, Stage: history.FaultStart, Lasts: true, Rejoins: true}, shown(dead, dead, five...))
	tp.stage(6000, history.FaultEvent{Step: 3, Stage: history.FaultHeal, Lasts: true}, shown(faults.Conditions{}, faults.Conditions{}, five...))
	run := tp.phase(7000, history.PhaseInterrupt).phase(9000, history.PhaseFinal).run(t, bound(time.Second))
	run.Topology = serversNamed(five...)
	got, err := majorityWindows(run)
	require.NoError(t, err)
	require.Equal(t, "[{1010000000 2000000000 [a b c d]} {2010000000 3000000000 [a b c d]} {4010000000 5000000000 [a b c d e]} {6010000000 7000000000 [a b c d e]}]", fmt.Sprint(got))

	// A heal that was not verified leaves open who is a member, whatever is measured later.
	after := &tape{}
	after.phase(0, history.PhaseFaults).stage(1000, history.FaultEvent{Stage: history.FaultStart, Lasts: true, Rejoins: true}, shown(dead, dead, five...))
	after.stage(2000, heal, &faults.Evidence{Error: "e does not vote"})
	after.stage(3000, history.FaultEvent{Step: 1, Stage: history.FaultStart, Lasts: true}, shown(dead, dead, five...))
	doubtful := after.phase(9000, history.PhaseFinal).run(t, bound(time.Second))
	doubtful.Topology = serversNamed(five...)
	none, err := majorityWindows(doubtful)
	require.NoError(t, err)
	require.Empty(t, none)

	tp.events[2].Value = []byte(`{}x`)
	_, err = majorityWindows(run)
	require.ErrorContains(t, err, "cannot be read")
}

// at records operations of one client after another at a node, each of 100 ms, until a time.
func (tp *tape) client(from, to int, node string, f history.Op, end history.Type) *tape {
	for ms := from; ms+100 <= to; ms += 100 {
		tp.op(ms, ms+90, f, end, "")
		for i := len(tp.events) - 2; i < len(tp.events); i++ {
			tp.events[i].Node = node
		}
	}
	return tp
}

func TestProgress(t *testing.T) {
	dead := broken(map[string]faults.ProcessState{"e": faults.Killed})
	during := func(record func(*tape)) *tape {
		tp := &tape{}
		tp.phase(0, history.PhaseFaults).stage(1000, history.FaultEvent{Stage: history.FaultStart, Lasts: true, Targets: []string{"e"}}, shown(dead, dead, five...))
		record(tp)
		return tp.phase(5000, history.PhaseFinal).phase(5500, history.PhaseEnd)
	}
	// both has a reader and a writer take turns at one node.
	both := func(tp *tape, from, to int, node string, reads, writes history.Type) {
		for ms := from; ms+200 <= to; ms += 200 {
			tp.client(ms, ms+100, node, history.OpRead, reads).client(ms+100, ms+200, node, history.OpWrite, writes)
		}
	}
	ok, fail := history.OK, history.Fail
	for _, c := range []struct {
		name    string
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"it serves", func(tp *tape) { both(tp, 1100, 5000, "a", ok, ok) }, Valid, "in 1 window, 4s altogether, a majority of the servers was surely well, and served"},
		{"after an election", func(tp *tape) {
			both(tp, 1100, 1700, "a", fail, fail)
			both(tp, 1700, 5000, "a", ok, ok)
		}, Valid, ""},
		{"never", func(tp *tape) { both(tp, 1100, 5000, "a", fail, fail) }, Invalid,
			"no write asked of a, b, c, d succeeded from 1.010 s to 5.000 s, though they are a majority of the servers and nothing was wrong with them or between them since 1.010 s (fault of e was in force); allowed are 1000 ms"},
		{"no reads", func(tp *tape) { both(tp, 1100, 5000, "a", fail, ok) }, Invalid, "no read asked"},
		{"it stops", func(tp *tape) {
			both(tp, 1100, 2100, "b", ok, ok)
			both(tp, 2100, 3500, "b", fail, fail)
			both(tp, 3500, 5000, "b", ok, ok)
		}, Invalid, "no write asked of a, b, c, d succeeded from 2.090 s to 3.690 s"},
		{"it stops to the end", func(tp *tape) {
			both(tp, 1100, 3100, "b", ok, ok)
			both(tp, 3100, 5000, "b", fail, fail)
		}, Invalid, "succeeded from 3.090 s to 5.000 s"},
		{"only the broken one is asked", func(tp *tape) { both(tp, 1100, 5000, "e", fail, fail) }, NotApplicable, "clients did not try enough"},
		{"what the broken one serves does not count", func(tp *tape) {
			for ms := 1100; ms < 4600; ms += 400 {
				both(tp, ms, ms+200, "e", ok, ok)
				both(tp, ms+200, ms+400, "a", fail, fail)
			}
		}, Invalid, "no write asked of a, b, c, d succeeded from 1.010 s"},
		{"clients rest", func(tp *tape) {
			both(tp, 1100, 2100, "a", ok, ok)
			both(tp, 4000, 5000, "a", ok, ok)
		}, NotApplicable, ""},
		{"an answer to what was asked before", func(tp *tape) {
			tp.events = append(tp.events, history.Event{Time: 1.02e9, Process: 900, Type: history.OK, F: "write", Key: "k", Node: "a"})
			tp.events = append([]history.Event{{Process: 900, Type: history.Invoke, F: "write", Key: "k", Node: "a"}}, tp.events...)
			both(tp, 1100, 5000, "a", ok, fail)
		}, Invalid, "no write asked of a, b, c, d succeeded from 1.010 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := during(c.record).run(t, bound(time.Second))
			run.Topology = serversNamed(five...)
			require.Empty(t, outlastsBound(run))
			r := checkProgress(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
	for _, c := range []struct {
		name  string
		edit  func(*tape) *tape
		bound time.Duration
		says  string
	}{
		{"the bound is longer", func(tp *tape) *tape { return tp }, 4 * time.Second, "never surely well for longer than the 4000 ms"},
		{"there is no bound", func(tp *tape) *tape { return tp }, 0, "sets no bound"},
		{"a process was killed from outside", func(tp *tape) *tape { return tp.killed(5600, "a") }, time.Second, "a SIGKILL that no fault had sent"},
		{"the cluster was lost", func(tp *tape) *tape { return tp.lost(5600, "gone") }, time.Second, "the cluster was lost"},
		{"the harness stood still", func(tp *tape) *tape {
			for i := len(tp.events) - 1; tp.events[i].Time > 1.5e9; i-- {
				tp.events = tp.events[:i]
			}
			return tp.phase(5000, history.PhaseFinal)
		}, time.Second, "never surely well"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := c.edit(during(func(tp *tape) { both(tp, 1100, 5000, "a", fail, fail) })).run(t, bound(c.bound))
			run.Topology = serversNamed(five...)
			require.Contains(t, outlastsBound(run), c.says)
		})
	}
}

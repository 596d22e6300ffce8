package checker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestNodes(t *testing.T) {
	good := history.Observation{State: "Follower", Leader: "s1", Term: 2}
	// Of every node from a second on, four times a second until the end.
	record := func(quiet int, s3 func(ms int) *history.Observation, more func(*tape, int)) *tape {
		tp := &tape{}
		tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(100, 0).heal(200, 0).baseline(300).phase(300, history.PhaseQuiet)
		for ms := 500; ms <= 300+quiet; ms += 250 {
			tp.observe(ms, "s1", good).observe(ms, "s2", good)
			if o := s3(ms); o != nil {
				tp.observe(ms, "s3", *o)
			}
			if more != nil {
				more(tp, ms)
			}
		}
		return tp.phase(300+quiet, history.PhaseFinal).phase(300+quiet, history.PhaseEnd)
	}
	always := func(o history.Observation) func(int) *history.Observation {
		return func(int) *history.Observation { return &o }
	}
	dead, alone := history.Observation{Error: "connection-refused"}, history.Observation{State: "Follower", Term: 2}
	for _, c := range []struct {
		name    string
		tape    *tape
		verdict Verdict
		says    string
	}{
		{"all answer", record(3000, always(good), nil), Valid, "all 3 nodes that should run answered at the end"},
		{"one is dead, for as long as it was given", record(6000, always(dead), nil), Invalid, "s3 at the end of the run, 6000 ms after the last heal: it did not answer (connection-refused); allowed are 5000 ms"},
		{"one follows nobody, for as long", record(6000, always(alone), nil), Invalid, "it knew no leader"},
		{"one is dead, and has time left", record(3000, always(dead), nil), Unknown, "s3 at the end of the run"},
		{"one dies late", record(9000, func(ms int) *history.Observation {
			if ms < 6000 {
				return &good
			}
			return &dead
		}, nil), Unknown, "s3 at the end"},
		{"one comes back late", record(9000, func(ms int) *history.Observation {
			if ms > 9000 {
				return &good
			}
			return &dead
		}, nil), Valid, ""},
		{"one was never asked", record(6000, func(int) *history.Observation { return nil }, nil), Unknown, "it was never asked"},
		{"somebody killed it", record(6000, always(dead), func(tp *tape, ms int) {
			if ms == 1000 {
				tp.killed(ms, "s3")
			}
		}), Unknown, "s3 at the end"},
		{"one is dead, but a client was served there", record(6000, func(int) *history.Observation { return &good }, func(tp *tape, ms int) {
			tp.events[len(tp.events)-3].Value = encode(dead) // of s1
			if ms == 4000 {
				tp.ok(ms, ms, "write")
			}
		}), Unknown, "s1 at the end of the run, 6000 ms after the last heal: it did not answer (connection-refused); but a write of a client succeeded there at 4.000 s"},
		{"the cluster was lost", record(6000, always(dead), func(tp *tape, ms int) {
			if ms == 1000 {
				tp.lost(ms, "gone")
			}
		}), Unknown, "s3 at the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := c.tape.run(t, bound(5*time.Second))
			run.Topology = threeServers()
			r := checkNodes(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

// Nothing is invalid for want of service unless all was seen to be healed.
func TestWantOfServiceIsExcused(t *testing.T) {
	heal := func(tp *tape, proved bool) {
		tp.mark(150, "partition", `{"step":0,"stage":"heal"}`)
		tp.mark(160, "partition", fmt.Sprintf(`{"step":0,"stage":"heal","done":true,"proved":%t}`, proved))
	}
	baseline := func(tp *tape, proved bool) {
		tp.mark(170, "baseline", fmt.Sprintf(`{"step":-1,"stage":"baseline","done":true,"proved":%t}`, proved))
	}
	for name, c := range map[string]struct {
		record  func(*tape)
		after   func(*tape)
		verdict Verdict
	}{
		"all healed":               {func(tp *tape) { heal(tp, true); baseline(tp, true) }, nil, Invalid},
		"a heal that did not show": {func(tp *tape) { heal(tp, false); baseline(tp, true) }, nil, Unknown},
		"no baseline":              {func(tp *tape) { heal(tp, true) }, nil, Unknown},
		"another baseline":         {func(tp *tape) { heal(tp, true); baseline(tp, false) }, nil, Unknown},
		"another baseline at the end": {func(tp *tape) { heal(tp, true); baseline(tp, true) }, func(tp *tape) {
			tp.mark(9000, history.FBaselineEnd, `{"step":-1,"stage":"baseline","done":true,"proved":false}`)
		}, Unknown},
		"the baseline at the end as well": {func(tp *tape) { heal(tp, true); baseline(tp, true) }, func(tp *tape) {
			tp.mark(9000, history.FBaselineEnd, `{"step":-1,"stage":"baseline","done":true,"proved":true}`)
		}, Invalid},
		"a process that somebody killed": {func(tp *tape) { heal(tp, true); baseline(tp, true); tp.killed(200, "s2") }, nil, Unknown},
		"a process that broke down":      {func(tp *tape) { heal(tp, true); baseline(tp, true); tp.exited(200, "s2", 2) }, nil, Invalid},
		"a lost cluster":                 {func(tp *tape) { heal(tp, true); baseline(tp, true); tp.lost(200, "gone") }, nil, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").ok(3, 4, "read").begin(100, 0)
			c.record(tp)
			tp.phase(200, history.PhaseQuiet)
			for ms := 300; ms < 8500; ms += 500 {
				tp.op(ms, ms+400, "write", history.Fail, "no-leader").op(ms+400, ms+450, "read", history.Fail, "no-leader")
			}
			if c.after != nil {
				c.after(tp)
			}
			tp.phase(9000, history.PhaseEnd)
			r := checkAvailability(context.Background(), tp.run(t, bound(time.Second)))
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
		})
	}
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).ok(1, 2, "write").ok(3, 4, "read").begin(100, 0)
	heal(tp, true)
	baseline(tp, true)
	tp.phase(200, history.PhaseQuiet).op(300, 400, "write", history.Fail, "no-leader")
	tp.op(20000, 20100, "write", history.Fail, "no-leader").phase(20200, history.PhaseEnd)
	r := checkAvailability(context.Background(), tp.run(t, bound(time.Second)))
	require.Equal(t, Unknown, r.Verdict, "%s: clients did not try while the harness stood still", r.Summary)
}

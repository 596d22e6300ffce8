package checker

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestFaults(t *testing.T) {
	start := `{"step":0,"stage":"start","lasts":true,"targets":["s1","s2"]}`
	heal := `{"step":0,"stage":"heal","lasts":true}`
	for _, c := range []struct {
		name    string
		planned int
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"none asked for", 0, func(tp *tape) { tp.phase(0, history.PhaseEnd) }, Valid, "no faults were asked for"},
		{"one, verified and healed", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).baseline(3).phase(4, history.PhaseEnd)
		}, Valid, "1 fault measured and healed"},
		{"a momentary one", 1, func(tp *tape) {
			tp.mark(1, "transfer", `{"step":0,"stage":"start"}`).mark(2, "transfer", `{"step":0,"stage":"start","done":true,"proved":true}`)
			tp.baseline(3).phase(4, history.PhaseEnd)
		}, Valid, "1 fault"},
		{"none of those asked for", 2, func(tp *tape) { tp.phase(0, history.PhaseEnd) }, Unknown, "only 0 of 2 planned faults began"},
		{"one of two", 2, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).baseline(3).phase(4, history.PhaseEnd)
		}, Unknown, "only 1 of 2 planned faults began"},
		{"one of two, and one skipped", 2, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).mark(3, "kill", `{"step":1,"stage":"skip","done":true,"asked":"kill new-leader","evidence":{"error":"not done: dc1-s1 has led all the time"}}`)
			tp.baseline(3).phase(4, history.PhaseEnd)
		}, Valid, "1 fault measured and healed; 1 skipped: step 1, kill new-leader (not done: dc1-s1 has led all the time)"},
		{"one of three, and one skipped", 3, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).mark(3, "kill", `{"step":1,"stage":"skip","done":true,"asked":"kill new-leader","evidence":{"error":"why"}}`)
			tp.baseline(3).phase(4, history.PhaseEnd)
		}, Unknown, "only 1 of 3 planned faults began"},
		{"all skipped", 1, func(tp *tape) {
			tp.mark(3, "kill", `{"step":0,"stage":"skip","done":true,"asked":"kill new-leader","evidence":{"error":"why"}}`).baseline(3).phase(4, history.PhaseEnd)
		}, Unknown, "no planned fault began; 1 skipped: step 0, kill new-leader (why)"},
		{"one of two, interrupted", 2, func(tp *tape) {
			tp.begin(1, 0).phase(2, history.PhaseInterrupt).heal(2, 0).baseline(3).phase(4, history.PhaseEnd)
		}, Unknown, "only 1 of 2 planned faults began"},
		{"interrupted before any", 2, func(tp *tape) {
			tp.phase(2, history.PhaseInterrupt).phase(4, history.PhaseEnd)
		}, Unknown, "only 0 of 2"},
		{"one without effect", 1, func(tp *tape) {
			tp.mark(1, "partition", start)
			tp.mark(2, "partition", `{"step":0,"stage":"start","done":true,"lasts":true,"targets":["s1","s2"],"asked":"6 links dropped","measured":"4 links dropped","error":"s1>s2 open"}`)
			tp.heal(3, 0).baseline(4).phase(5, history.PhaseEnd)
		}, Unknown, "step 0, partition on s1, s2: its effect was not verified (asked: 6 links dropped; measured: 4 links dropped; s1>s2 open)"},
		{"one whose measure never came", 1, func(tp *tape) {
			tp.mark(1, "partition", start).heal(3, 0).baseline(4).phase(5, history.PhaseEnd)
		}, Unknown, "step 0, partition on s1, s2: its effect was not verified"},
		{"one never healed", 1, func(tp *tape) {
			tp.begin(1, 0).mark(2, "partition", heal).baseline(4).phase(5, history.PhaseEnd)
		}, Unknown, "step 0, partition on s1: its heal was never done"},
		{"one healed in name", 1, func(tp *tape) {
			tp.begin(1, 0).mark(2, "partition", heal)
			tp.mark(3, "partition", `{"step":0,"stage":"heal","done":true,"lasts":true,"measured":"2 links dropped"}`)
			tp.baseline(4).phase(5, history.PhaseEnd)
		}, Unknown, "its heal was not verified (measured: 2 links dropped)"},
		{"no final check", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).phase(5, history.PhaseEnd)
		}, Unknown, "the cluster was not checked after the last heal"},
		{"a final check that fails", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0)
			tp.mark(3, "baseline", `{"step":-1,"stage":"baseline","done":true,"measured":"s2 paused"}`).phase(5, history.PhaseEnd)
		}, Unknown, "after the last heal the cluster was not as before (measured: s2 paused)"},
		{"a check at the end", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).baseline(3)
			tp.mark(4, "baseline-end", `{"step":-1,"stage":"baseline","done":true,"proved":true}`).phase(5, history.PhaseEnd)
		}, Valid, "1 fault"},
		{"a check at the end that fails", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).baseline(3)
			tp.mark(4, "baseline-end", `{"step":-1,"stage":"baseline","done":true,"error":"s2 has ended by itself"}`).phase(5, history.PhaseEnd)
		}, Unknown, "the cluster was not as before (s2 has ended by itself)"},
		{"a final check that fails, and is well later", 1, func(tp *tape) {
			tp.begin(1, 0).heal(2, 0).mark(3, "baseline", `{"step":-1,"stage":"baseline","done":true,"measured":"s2 paused"}`)
			tp.mark(4, "baseline-end", `{"step":-1,"stage":"baseline","done":true,"proved":true}`).phase(5, history.PhaseEnd)
		}, Unknown, "the cluster was not as before (measured: s2 paused)"},
		{"a final check too early", 1, func(tp *tape) {
			tp.begin(1, 0).baseline(2).heal(3, 0).phase(5, history.PhaseEnd)
		}, Unknown, "the final check came before the last heal was done"},
		{"cut off", 1, func(tp *tape) { tp.begin(1, 0).heal(2, 0).baseline(3) }, Unknown, cutOff},
		{"cut off without faults", 0, func(tp *tape) { tp.phase(0, history.PhaseFaults) }, Unknown, cutOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			r := checkFaults(context.Background(), tp.run(t, Settings{PlannedFaults: c.planned}))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name    string
		minimum int
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"enough", 3, func(tp *tape) {
			tp.ok(1, 2, "write").begin(3, 0).ok(4, 5, "read").heal(6, 0).ok(7, 8, "cas").phase(9, history.PhaseEnd)
		}, Valid, "3 operations succeeded: 1 reads, 2 writes and compare-and-sets"},
		{"too few", 4, func(tp *tape) {
			tp.ok(1, 2, "write").ok(4, 5, "read").op(7, 8, "write", history.Info, "timeout").phase(9, history.PhaseEnd)
		}, Unknown, "2 operations succeeded; fewer than 4 are not enough"},
		{"no reads", 0, func(tp *tape) { tp.ok(1, 2, "write").phase(9, history.PhaseEnd) }, Unknown, "no read succeeded"},
		{"no writes", 0, func(tp *tape) { tp.ok(1, 2, "read").phase(9, history.PhaseEnd) }, Unknown, "no write or compare-and-set succeeded"},
		{"a fault that nobody noticed", 0, func(tp *tape) {
			tp.ok(1, 2, "write").ok(2, 3, "read").begin(4, 5).heal(6, 5).ok(1005, 1006, "cas").phase(1009, history.PhaseEnd)
		}, Unknown, "step 5, partition: no client asked for anything while it lasted"},
		{"a short fault between two operations", 3, func(tp *tape) {
			tp.ok(1, 2, "write").ok(2, 3, "read").begin(4, 5).heal(6, 5).ok(1003, 1004, "cas").phase(1009, history.PhaseEnd)
		}, Valid, "3 operations"},
		{"a failure notices a fault", 0, func(tp *tape) {
			tp.ok(1, 2, "write").ok(2, 3, "read").begin(4, 5).op(5, 6, "write", history.Fail, "no-leader").heal(6, 5).phase(9, history.PhaseEnd)
		}, Valid, ""},
		{"one that hangs since before does not", 0, func(tp *tape) {
			tp.ok(1, 2, "write").ok(2, 3, "read")
			tp.add(3, history.Event{Process: 90, Type: history.Invoke, F: "write", Key: "k", Value: history.Int(1)})
			tp.begin(4, 5).heal(6, 5).phase(9, history.PhaseEnd)
		}, Unknown, "step 5, partition"},
		{"a momentary fault needs no load", 0, func(tp *tape) {
			tp.ok(1, 2, "write").ok(2, 3, "read")
			tp.mark(5, "transfer", `{"step":0,"stage":"start"}`).mark(6, "transfer", `{"step":0,"stage":"start","done":true,"proved":true}`)
			tp.phase(9, history.PhaseEnd)
		}, Valid, ""},
		{"cut off", 0, func(tp *tape) { tp.ok(1, 2, "write").ok(2, 3, "read") }, Unknown, cutOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			r := checkLoad(context.Background(), tp.run(t, Settings{MinOps: c.minimum}))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestAPhaseThatCannotBeReadIsUnknown(t *testing.T) {
	tp := &tape{}
	tp.add(1, history.Event{Process: history.Harness, Type: history.Info, F: history.FPhase, Value: []byte(`7`)})
	run := tp.run(t, Settings{})
	for _, check := range []func(context.Context, *Run) Result{checkAvailability, checkFaults, checkLoad} {
		r := check(context.Background(), run)
		require.Equal(t, Unknown, r.Verdict)
		require.Contains(t, r.Summary, "event 0")
	}
}

func TestAllJudgesAWholeRun(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults)
	tp.ok(1, 2, "write").begin(3, 0)
	tp.observe(4, "s1", history.Observation{BootID: "a", State: "Leader", Term: 2})
	tp.add(5, history.Event{Process: 50, Type: history.Invoke, F: "read", Key: "k", Node: "s1"})
	tp.add(6, history.Event{Process: 50, Type: history.OK, F: "read", Key: "k", Node: "s1", Value: history.Int(1)})
	tp.heal(10, 0).baseline(11).phase(12, history.PhaseQuiet).ok(13, 14, "write").phase(14, history.PhaseFinal)
	tp.add(15, history.Event{Process: 51, Type: history.Invoke, F: "read", Key: "k", Node: "s1"})
	tp.add(16, history.Event{Process: 51, Type: history.OK, F: "read", Key: "k", Node: "s1", Value: history.Int(2)})
	tp.peers(17, "s1", history.PeerSet{})
	tp.phase(20, history.PhaseEnd)
	run := tp.run(t, Settings{Workload: "register", MinOps: 3, PlannedFaults: 1, RecoverWithin: 1e9})
	v, results := Judge(context.Background(), run, append([]Checker{Linearizable()}, All()...))
	var names []string
	for _, r := range results {
		names = append(names, r.Checker)
		want := Valid
		if slices.Contains([]string{"hops", "forwarding", "wan", "service-level", "progress", "leaks"}, r.Checker) {
			want = NotApplicable // nobody tells hops, or what a process uses; there is one datacenter; and no majority was well for so long
		}
		require.Equal(t, want, r.Verdict, "%s: %s", r.Checker, r.Summary)
	}
	require.Equal(t, Valid, v)
	require.Equal(t, []string{"linearizable", "index", "raft", "hops", "forwarding", "crashes", "nodes", "members", "wan", "availability", "progress", "leaks", "service-level", "faults", "record", "load"}, names)
}

func TestJudge(t *testing.T) {
	crash := Checker{Name: "crash", Check: func(context.Context, *Run) Result { panic("boom") }}
	bad := Checker{Name: "bad", Check: func(context.Context, *Run) Result { return Result{Verdict: Invalid} }}
	v, results := Judge(context.Background(), &Run{}, []Checker{crash, bad})
	require.Equal(t, Invalid, v)
	require.Equal(t, Unknown, results[0].Verdict)
	require.Equal(t, "the checker crashed: boom", results[0].Summary)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v, _ = Judge(ctx, &Run{}, []Checker{bad})
	require.Equal(t, Unknown, v, "what did not run has shown nothing")
	require.Equal(t, Unknown, Worst())
	require.Equal(t, Unknown, Worst(Valid, Unknown))
}

// A run of a harness that records evidence is judged by that, and not by what it says of itself.
func TestFaultsAreJudgedByEvidence(t *testing.T) {
	const asked = `"want":{"processes":{"s1":"killed"}},"before":{},"part":{"processes":{"s1":"killed"}},"nodes":["s1"]`
	for _, c := range []struct {
		name, evidence string
		verdict        Verdict
		says           string
	}{
		{"as asked", `{` + asked + `,"got":{"processes":{"s1":"killed"}}}`, Valid, "1 fault measured and healed"},
		{"nothing happened", `{` + asked + `,"got":{}}`, Unknown, "s1 is running, not killed"},
		{"nothing was measured", `{` + asked + `}`, Unknown, "nothing was measured"},
		{"nothing was asked", `{}`, Unknown, "nothing was looked at"},
		{"it failed", `{` + asked + `,"got":{"processes":{"s1":"killed"}},"error":"interrupted"}`, Unknown, "interrupted"},
		{"a cluster in its best health, which is all that was asked", `{"want":{},"before":{},"got":{},"nodes":["s1"]}`, Unknown, "nothing was asked for"},
		{"no evidence", `null`, Unknown, "event 1: start of kill is said to be done, and there is no evidence of it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			tp.mark(1, "kill", `{"step":0,"stage":"start","lasts":true}`)
			tp.mark(2, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,"evidence":`+c.evidence+`}`)
			tp.mark(3, "kill", `{"step":0,"stage":"heal"}`)
			tp.mark(4, "kill", `{"step":0,"stage":"heal","done":true,"evidence":{"want":{},"got":{},"nodes":["s1"]}}`)
			tp.mark(5, "baseline", `{"step":-1,"stage":"baseline","done":true,"evidence":{"want":{},"got":{},"nodes":["s1"]}}`)
			tp.phase(6, history.PhaseEnd)
			r := checkFaults(context.Background(), tp.run(t, Settings{PlannedFaults: 1, Format: FormatEvidence}))
			require.Equal(t, c.verdict, r.Verdict, "%q", r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestTheFinalCheckAsksForTheTopologysBaseline(t *testing.T) {
	for want, verdict := range map[string]Verdict{`{}`: Valid, `{"processes":{"s2":"killed"}}`: Unknown} {
		tp := &tape{}
		tp.begin(1, 0).heal(2, 0)
		tp.mark(3, "baseline", `{"step":-1,"stage":"baseline","done":true,"evidence":{"want":`+want+`,"got":`+want+`,"nodes":["s2"]}}`)
		tp.phase(4, history.PhaseEnd)
		r := checkFaults(context.Background(), tp.run(t, Settings{PlannedFaults: 1}))
		require.Equal(t, verdict, r.Verdict, "%q", r.Reasons)
	}
}

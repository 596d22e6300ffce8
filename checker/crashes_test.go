package checker

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestCrashes(t *testing.T) {
	fault := func(tp *tape, from, to int, value string) {
		tp.mark(from, "kill", `{"step":0,"stage":"start","lasts":true,`+value+`}`)
		tp.mark(from+1, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,`+value+`}`)
		tp.mark(to-1, "kill", `{"step":0,"stage":"heal"}`)
		tp.mark(to, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	}
	const kills, leaves = `"kills":true,"targets":["s1"]`, `"kills":true,"exits":true,"targets":["s1"]`
	for name, c := range map[string]struct {
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		"nothing ends":        {func(tp *tape) { tp.started(1, "s1").started(1, "s2") }, Valid, "2 nodes, 0 restarts"},
		"nothing is reported": {func(tp *tape) { tp.observe(1, "s1", history.Observation{BootID: "a"}) }, Unknown, "reported no process"},
		"killed by a fault": {func(tp *tape) {
			tp.started(1, "s1")
			fault(tp, 1000, 2000, kills)
			tp.events = insert(tp.events, 3, 1500, "s1", sigkill, 0)
			tp.started(2000, "s1")
		}, Valid, "1 node, 1 restart, all asked for"},
		"killed by nobody":    {func(tp *tape) { tp.started(1, "s1").killed(1500, "s1") }, Unknown, "a SIGKILL that no fault had sent: somebody outside"},
		"killed after a heal": {func(tp *tape) { tp.started(1, "s1"); fault(tp, 1000, 2000, kills); tp.killed(3000, "s1") }, Unknown, "no fault had sent"},
		"another is killed": {func(tp *tape) {
			tp.started(1, "s2")
			fault(tp, 1000, 2000, kills)
			tp.events = insert(tp.events, 3, 1500, "s2", sigkill, 0)
		}, Unknown, "the process of s2"},
		"out of memory": {func(tp *tape) {
			tp.started(1, "s1").process(1500, "s1", history.ProcessEvent{Kind: history.ProcessEnded, Signal: sigkill, OutOfMemory: true})
		}, Unknown, "the kernel did, as memory ran out"},
		"a panic":                {func(tp *tape) { tp.started(1, "s1").exited(1500, "s1", 2) }, Invalid, "the process of s1 ended by itself at 1.500 s, with exit code 2"},
		"an exit without a word": {func(tp *tape) { tp.started(1, "s1").exited(1500, "s1", 0) }, Invalid, "with exit code 0"},
		"a wild pointer": {func(tp *tape) {
			tp.started(1, "s1").process(1500, "s1", history.ProcessEvent{Kind: history.ProcessEnded, Signal: "SIGSEGV"})
		}, Invalid, "with SIGSEGV"},
		"a panic that stays": {func(tp *tape) { tp.started(1, "s1").exited(1500, "s1", 2).phase(9000, history.PhaseEnd) }, Invalid, "ended by itself"},
		"a panic in a storm of kills": {func(tp *tape) {
			tp.started(1, "s1")
			fault(tp, 1000, 2000, kills)
			tp.events = insert(tp.events, 3, 1500, "s1", "", 2)
		}, Invalid, "exit code 2"},
		"a leave": {func(tp *tape) {
			tp.started(1, "s1")
			fault(tp, 1000, 2000, leaves)
			tp.events = insert(tp.events, 3, 1500, "s1", "", 0)
		}, Valid, "all asked for"},
		"a disk that fails, a little later": {func(tp *tape) { tp.started(1, "s1"); fault(tp, 1000, 2000, leaves); tp.exited(3000, "s1", 1) }, Valid, ""},
		"both":                              {func(tp *tape) { tp.started(1, "s1").killed(1500, "s1").started(1600, "s1").exited(1700, "s1", 2) }, Invalid, "exit code 2"},
		"cannot be read": {func(tp *tape) {
			tp.add(1, history.Event{Process: history.Runtime, Type: history.Info, F: history.FProcess, Value: []byte(`7`)})
		}, Unknown, "event 0"},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			r := checkCrashes(context.Background(), tp.run(t, Settings{Format: formatSealed}))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

// insert adds an end between the events of a fault.
func insert(events []history.Event, at, ms int, node, signal string, code int) []history.Event {
	tp := &tape{}
	tp.process(ms, node, history.ProcessEvent{Kind: history.ProcessEnded, Signal: signal, Code: code})
	events = slices.Insert(events, at, tp.events[0])
	for i := range events {
		events[i].Index = int64(i)
	}
	return events
}

// Old runs, whose runtimes reported no process.
func TestCrashesByBoots(t *testing.T) {
	const second = 1000 // a tape counts milliseconds
	sees := func(tp *tape, at int, boot string) { tp.observe(at, "s1", history.Observation{BootID: boot}) }
	fault := func(tp *tape, from, to int, value string) {
		tp.mark(from, "kill", `{"step":0,"stage":"start","lasts":true,`+value+`}`)
		tp.mark(from+1, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,`+value+`}`)
		tp.mark(to-1, "kill", `{"step":0,"stage":"heal"}`)
		tp.mark(to, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	}
	for name, c := range map[string]struct {
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		"no restart": {func(tp *tape) { sees(tp, 1, "a"); sees(tp, 2, "a") }, Valid, "1 node, 0 restarts"},
		"restarted by a kill": {func(tp *tape) {
			sees(tp, 1*second, "a")
			fault(tp, 2*second, 4*second, `"kills":true,"targets":["s1"]`)
			sees(tp, 5*second, "b")
		}, Valid, "1 restart, all asked for"},
		"back before the heal is measured": {func(tp *tape) {
			sees(tp, 1*second, "a")
			tp.mark(2*second, "kill", `{"step":0,"stage":"start","lasts":true,"kills":true,"targets":["s1"]}`)
			sees(tp, 3*second, "b")
		}, Valid, ""},
		"a crash": {func(tp *tape) { sees(tp, 1*second, "a"); sees(tp, 9*second, "b") },
			Invalid, "the process of s1 ended between 1.000 s and 9.000 s, and no fault had ended it"},
		"a crash after a kill": {func(tp *tape) {
			sees(tp, 1*second, "a")
			fault(tp, 2*second, 4*second, `"kills":true,"targets":["s1"]`)
			sees(tp, 7*second, "b")
			sees(tp, 9*second, "c")
		}, Invalid, "between 7.000 s and 9.000 s"},
		"another node was killed": {func(tp *tape) {
			sees(tp, 1*second, "a")
			fault(tp, 2*second, 4*second, `"kills":true,"targets":["s2"]`)
			sees(tp, 5*second, "b")
		}, Invalid, "the process of s1 ended"},
		"a fault that ends nothing": {func(tp *tape) {
			sees(tp, 1*second, "a")
			fault(tp, 2*second, 4*second, `"targets":["s1"]`)
			sees(tp, 5*second, "b")
		}, Invalid, "the process of s1 ended"},
		"nothing is reported": {func(tp *tape) { sees(tp, 1, "") }, Unknown, "no node reported its boot ID"},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			r := checkCrashes(context.Background(), tp.run(t, Settings{}))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

// A node of a system that exits where it reaches no member may do so until it has joined, and not after.
func TestWhoMayGiveUpJoining(t *testing.T) {
	for name, c := range map[string]struct {
		exits   bool
		record  func(*tape)
		verdict Verdict
	}{
		"before it had joined": {true, func(tp *tape) { tp.started(3000, "s1").exited(4000, "s1", 1).started(5000, "s1") }, Valid},
		"twice":                {true, func(tp *tape) { tp.started(3000, "s1").exited(4000, "s1", 1).started(5000, "s1").exited(6000, "s1", 1) }, Valid},
		"of another system":    {false, func(tp *tape) { tp.started(3000, "s1").exited(4000, "s1", 1) }, Invalid},
		"by a signal": {true, func(tp *tape) {
			tp.started(3000, "s1").process(4000, "s1", history.ProcessEvent{Kind: history.ProcessEnded, Signal: "SIGSEGV"})
		}, Invalid},
		"after it had answered": {true, func(tp *tape) {
			tp.started(3000, "s1").observe(3500, "s1", history.Observation{}).exited(4000, "s1", 1)
		}, Invalid},
		"another, which stayed in": {true, func(tp *tape) { tp.started(3000, "s1").exited(4000, "s2", 1) }, Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.started(1, "s1").started(1, "s2").observe(500, "s1", history.Observation{})
			const value = `"kills":true,"wipes":true,"rejoins":true,"targets":["s1"]`
			tp.mark(1000, "replace", `{"step":0,"stage":"start","lasts":true,`+value+`}`).killed(1001, "s1")
			tp.mark(1100, "replace", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,`+value+`}`)
			tp.mark(2900, "replace", `{"step":0,"stage":"heal"}`)
			c.record(tp)
			tp.mark(7000, "replace", `{"step":0,"stage":"heal","done":true,"proved":true}`)
			r := checkCrashes(context.Background(), tp.run(t, Settings{Format: formatSealed, ExitsUnjoined: c.exits}))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
		})
	}
}

// A kill takes nobody out of the peer set: who comes back from one has nothing to join.
func TestWhoWasOnlyKilledMayNotGiveUp(t *testing.T) {
	tp := &tape{}
	tp.started(1, "s1")
	const value = `"kills":true,"targets":["s1"]`
	tp.mark(1000, "kill", `{"step":0,"stage":"start","lasts":true,`+value+`}`).killed(1001, "s1")
	tp.mark(1100, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,`+value+`}`)
	tp.mark(2900, "kill", `{"step":0,"stage":"heal"}`).started(3000, "s1").exited(4000, "s1", 1)
	tp.mark(7000, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	r := checkCrashes(context.Background(), tp.run(t, Settings{Format: formatSealed, ExitsUnjoined: true}))
	require.Equal(t, Invalid, r.Verdict, r.Summary)
}

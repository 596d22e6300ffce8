package checker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// A runtime that keeps a start or an end to itself may have kept a crash to itself.
func TestWhatARuntimeDidNotTellIsUnknown(t *testing.T) {
	good := history.Observation{BootID: "a", State: "Follower", Leader: "s1", Term: 2}
	fault := func(tp *tape, from, to int, reported func(*tape), more string) {
		tp.mark(from, "kill", `{"step":0,"stage":"start","lasts":true,"kills":true,"targets":["s1"]`+more+`}`)
		reported(tp)
		tp.mark(from+100, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"kills":true,"targets":["s1"],"proved":true`+more+`}`)
		tp.mark(to-1, "kill", `{"step":0,"stage":"heal"}`)
		tp.mark(to, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	}
	nothing := func(*tape) {}
	killed := func(tp *tape) { tp.killed(1050, "s1") }
	for name, c := range map[string]struct {
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		"all is reported":                 {func(tp *tape) { fault(tp, 1000, 2000, killed, ""); tp.started(2000, "s1").observe(9000, "s1", good) }, Valid, "all asked for"},
		"not the end of who was killed":   {func(tp *tape) { fault(tp, 1000, 2000, nothing, "") }, Unknown, "step 0 (kill) was measured to have ended the process of s1"},
		"one that only may end, does not": {func(tp *tape) { fault(tp, 1000, 2000, nothing, `,"exits":true`) }, Valid, ""},
		"not that end, but the start":     {func(tp *tape) { fault(tp, 1000, 2000, nothing, ""); tp.started(2000, "s1") }, Unknown, "a process of s1 had started by 2.000 s, where it should have ended"},
		"not that start": {func(tp *tape) { fault(tp, 1000, 2000, killed, ""); tp.observe(9000, "s1", good) }, Unknown,
			"s1 answered at 9.000 s, but the runtime reported that its last process ended at 1.050 s"},
		"it was down already when it was killed": {func(tp *tape) {
			tp.mark(1000, "kill", `{"step":1,"stage":"start","lasts":true,"kills":true,"targets":["s1"]}`)
			tp.killed(1050, "s1")
			tp.mark(1100, "kill", `{"step":1,"stage":"start","done":true,"lasts":true,"kills":true,"targets":["s1"],"proved":true}`)
			fault(tp, 4000, 6000, nothing, "")
			tp.mark(6001, "kill", `{"step":1,"stage":"heal"}`)
			tp.mark(6002, "kill", `{"step":1,"stage":"heal","done":true,"proved":true}`)
			tp.started(6003, "s1")
		}, Valid, ""},
		"it was down, and answered a moment before": {func(tp *tape) { fault(tp, 1000, 2000, killed, ""); tp.observe(2500, "s1", good) }, Valid, ""},
		"it stays down": {func(tp *tape) {
			fault(tp, 1000, 2000, killed, "")
			tp.observe(9000, "s1", history.Observation{Error: "timeout"})
		}, Valid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.started(1, "s1").started(1, "s2").started(1, "s3")
			c.record(tp)
			run := tp.run(t, Settings{Format: formatSealed})
			run.Topology = threeServers()
			r := checkCrashes(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
	tp := &tape{}
	run := tp.started(1, "s1").started(1, "s3").run(t, Settings{Format: formatSealed})
	run.Topology = threeServers()
	r := checkCrashes(context.Background(), run)
	require.Equal(t, Unknown, r.Verdict)
	require.Equal(t, "the runtime reported no process of s2", r.Summary)
}

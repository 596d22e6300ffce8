package checker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestCrashes(t *testing.T) {
	const second = 1000 // a tape counts milliseconds
	sees := func(tp *tape, at int, boot string) { tp.observe(at, "s1", history.Observation{Boot: boot}) }
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
		"nobody tells": {func(tp *tape) { sees(tp, 1, "") }, Unknown, "no node told"},
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

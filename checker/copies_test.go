package checker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// change records an operation of a client on the key k, from 1 ms after from on; a type of Invoke leaves it open.
func (tp *tape) change(from int, f history.Op, value string, end history.Type, index uint64) *tape {
	p := tp.next
	tp.next++
	e := history.Event{Process: p, Type: history.Invoke, F: f, Key: "k", Value: json.RawMessage(value), Node: "dc1-s1"}
	if f == history.OpRead {
		e.Value, e.Mode = nil, history.ModeDefault
	}
	tp.add(from, e)
	if end == history.Invoke {
		return tp
	}
	e.Type, e.ModifyIndex, e.Value = end, index, json.RawMessage(value)
	if end != history.OK {
		e.Error = history.Timeout
	}
	return tp.add(from+1, e)
}

// holds records what a server holds itself of the key k; "" means that it did not answer.
func (tp *tape) holds(ms int, node, value string, index uint64) *tape {
	e := history.Event{Process: history.Observer, Type: history.Info, F: history.FCopy, Key: "k", Node: node, Mode: history.ModeStale,
		Value: json.RawMessage(value), ModifyIndex: index}
	if value == "" {
		e.Value, e.Error = nil, history.Timeout
	}
	return tp.add(ms, e)
}

func TestCopies(t *testing.T) {
	const read = history.OpRead
	// others are the copies of the two servers that have nothing to hide.
	others := func(tp *tape, value string, index uint64) *tape {
		return tp.holds(2100, "dc1-s2", value, index).holds(2101, "dc1-s3", value, index)
	}
	written := func(tp *tape) *tape {
		return tp.phase(0, history.PhaseFaults).change(10, history.OpWrite, "1", history.OK, 5).change(20, history.OpWrite, "2", history.OK, 9)
	}
	final := func(tp *tape, value string, index uint64) *tape {
		return tp.phase(1000, history.PhaseQuiet).phase(2000, history.PhaseFinal).change(2001, read, value, history.OK, index)
	}
	for _, c := range []struct {
		name    string
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"all agree", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(2102, "dc1-s1", "2", 9)
		}, Valid, "the copies of 3 servers were the same as the final reads of 1 key"},
		{"one catches up", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(2102, "dc1-s1", "1", 5).holds(2500, "dc1-s1", "2", 9)
		}, Valid, ""},
		{"one catches up after its time", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(2102, "dc1-s1", "1", 5).holds(4500, "dc1-s1", "2", 9)
		}, Valid, ""},
		{"one never does", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(2102, "dc1-s1", "1", 5).holds(3002, "dc1-s1", "1", 5)
		}, Invalid, `dc1-s1 held 1 of 1 key otherwise than the final reads to the end; allowed are 1000 ms. For one, key "k": it held 1 (index 5) at 3.002 s, and a read of dc1-s1 at 2.002 s had found 2 (index 9)`},
		{"it lacks the key", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(3002, "dc1-s1", "null", 0)
		}, Invalid, "it held null (index 0)"},
		{"it has a key that is gone", func(tp *tape) {
			written(tp).change(30, history.OpDelete, "", history.OK, 11)
			others(final(tp, "null", 0), "null", 0).holds(3002, "dc1-s1", "2", 9)
		}, Invalid, "it held 2 (index 9)"},
		{"another value at the same index", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(3002, "dc1-s1", "1", 9)
		}, Invalid, ""},
		{"its time was not over", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(3001, "dc1-s1", "1", 5)
		}, Unknown, "when it was last asked, before its time was over"},
		{"it answered once, and then no more", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(2102, "dc1-s1", "1", 5).holds(4000, "dc1-s1", "", 0)
		}, Unknown, "before its time was over"},
		{"it never answered", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(4000, "dc1-s1", "", 0)
		}, Unknown, "dc1-s1 never told its copy of 1 of 1 key"},
		{"an open write takes effect at the end", func(tp *tape) {
			written(tp).change(30, history.OpWrite, "3", history.Info, 0)
			others(final(tp, "2", 9), "3", 12).holds(3002, "dc1-s1", "2", 9)
		}, Valid, ""},
		{"an open write that nobody saw end takes effect", func(tp *tape) {
			written(tp).change(30, history.OpCAS, "[2,3]", history.Invoke, 0)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "3", 12)
		}, Valid, ""},
		{"a write of unknown fate that was replaced long ago", func(tp *tape) {
			tp.phase(0, history.PhaseFaults).change(10, history.OpWrite, "1", history.Info, 0).change(20, history.OpWrite, "2", history.OK, 9)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "1", 5)
		}, Invalid, "it held 1 (index 5)"},
		{"the same without indexes", func(tp *tape) {
			tp.phase(0, history.PhaseFaults).change(10, history.OpWrite, "1", history.Info, 0).change(20, history.OpWrite, "2", history.OK, 0)
			others(final(tp, "2", 0), "2", 0).holds(3002, "dc1-s1", "1", 0)
		}, Unknown, "as an operation of unknown fate may have left them"},
		{"an acknowledged value without indexes", func(tp *tape) {
			others(final(written(tp), "2", 0), "2", 0).holds(3002, "dc1-s1", "1", 0)
		}, Invalid, ""},
		{"an open deletion", func(tp *tape) {
			written(tp).change(30, history.OpDeleteCAS, "[2,null]", history.Info, 0)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "null", 0)
		}, Unknown, "as an operation of unknown fate"},
		{"an open deletion brings no value back", func(tp *tape) {
			written(tp).change(30, history.OpDeleteCAS, "[2,null]", history.Info, 0)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "1", 0)
		}, Invalid, "it held 1 (index 0)"},
		{"something open that this checker does not know", func(tp *tape) {
			written(tp).change(30, history.OpAcquire, `"s"`, history.Info, 0)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "null", 0)
		}, Unknown, "as an operation of unknown fate"},
		{"newer, and nobody asked for it", func(tp *tape) {
			others(final(written(tp), "2", 9), "2", 9).holds(3002, "dc1-s1", "7", 12)
		}, Invalid, "it held 7 (index 12)"},
		{"newer, and that had certainly failed", func(tp *tape) {
			written(tp).change(30, history.OpWrite, "3", history.Fail, 0)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "3", 12)
		}, Invalid, "it held 3 (index 12)"},
		{"the final read was old", func(tp *tape) { // which is for linearizable to say
			others(final(written(tp), "1", 5), "2", 9).holds(3002, "dc1-s1", "2", 9)
		}, Valid, ""},
		{"a heal that was not measured", func(tp *tape) {
			written(tp).begin(30, 0)
			tp.mark(40, "partition", `{"step":0,"stage":"heal","lasts":true}`)
			tp.mark(40, "partition", `{"step":0,"stage":"heal","done":true,"lasts":true,"proved":false}`)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "1", 5)
		}, Unknown, "dc1-s1 held 1 of 1 key"},
		{"nothing was read at the end", func(tp *tape) {
			written(tp).phase(1000, history.PhaseQuiet).phase(2000, history.PhaseFinal)
		}, Unknown, "no key was read at the end"},
		{"it was read before the end alone", func(tp *tape) {
			written(tp).change(30, read, "2", history.OK, 9).phase(1000, history.PhaseQuiet).phase(2000, history.PhaseFinal)
			others(tp, "2", 9).holds(3002, "dc1-s1", "1", 5)
		}, Unknown, "no key was read at the end"},
		{"nobody was asked", func(tp *tape) { final(written(tp), "2", 9) }, Unknown, "never told its copy"},
		{"a key of somebody else", func(tp *tape) {
			written(tp).change(30, read, `"theirs"`, history.OK, 10)
			others(final(tp, "2", 9), "2", 9).holds(3002, "dc1-s1", "1", 5)
		}, Unknown, "no key was read at the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			tp.phase(6000, history.PhaseEnd)
			r := checkCopies(context.Background(), copiesRun(t, tp, Settings{}))
			require.Equal(t, c.verdict, r.Verdict, "%s %v", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
			if c.verdict == Valid {
				require.Empty(t, r.Reasons)
			}
		})
	}
}

func copiesRun(t *testing.T, tp *tape, s Settings) *Run {
	s.Workload, s.OwnCopy, s.Mode = "register", history.ModeStale, history.ModeDefault
	if s.RecoverWithin == 0 {
		s.RecoverWithin = time.Second
	}
	run := tp.run(t, s)
	var err error
	run.Topology, err = topologies.Load("dc1-3")
	require.NoError(t, err)
	return run
}

func TestCopiesOfARunThatWasCutOff(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).change(10, history.OpWrite, "1", history.OK, 5).phase(1000, history.PhaseFinal).change(1001, history.OpRead, "1", history.OK, 5)
	for _, n := range []string{"dc1-s1", "dc1-s2", "dc1-s3"} {
		tp.holds(1010, n, "1", 5)
	}
	r := checkCopies(context.Background(), copiesRun(t, tp, Settings{}))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "cut off")
}

func TestCopiesNeedReadsOfThem(t *testing.T) {
	for _, s := range []Settings{{}, {OwnCopy: history.ModeStale, Mode: history.ModeStale}} {
		_, results := Judge(context.Background(), (&tape{}).run(t, s), []Checker{Copies()})
		require.Equal(t, NotApplicable, results[0].Verdict)
	}
}

// Answers of copies are nobody's operations, and known to the record.
func TestCopiesAreNoOperations(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).phase(10, history.PhaseFinal).holds(11, "dc1-s1", "1", 5).phase(12, history.PhaseEnd)
	run := copiesRun(t, tp, Settings{})
	require.Empty(t, run.Ops)
	require.Empty(t, unexpectedEvents(run))
}

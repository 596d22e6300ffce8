package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// watch reads observations, a line each: node, boot, state, term, commit, applied, last.
func watch(t *testing.T, text string) *Run {
	t.Helper()
	tp := &tape{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[1] == "error" {
			tp.observe(len(tp.events), words[0], history.Observation{Error: "timeout"})
			continue
		}
		o := history.Observation{BootID: words[1], State: history.State(words[2])}
		_, err := fmt.Sscan(strings.Join(words[3:], " "), &o.Term, &o.Commit, &o.Applied, &o.Last)
		require.NoError(t, err, line)
		tp.observe(len(tp.events), words[0], o)
	}
	return tp.run(t, Settings{})
}

func TestRaft(t *testing.T) {
	for _, c := range []struct {
		name, seen string
		verdict    Verdict
		says       string
	}{
		{"one leader after the other", `
			s1 a Leader   2 10 10 10
			s2 a Follower 2  9  9 10
			s1 a Leader   2 12 12 12
			s1 error
			s2 a Leader   3 12 12 13
			s2 a Leader   3 14 14 14
			s2 a Leader   3 15 15 15
			s1 b Follower 3  0  0 12
			s1 b Follower 3 15 15 15`, Valid, "8 observations of 2 servers agree with Raft (2 terms with a leader)"},
		{"a deposed leader that does not know it yet", `
			s1 a Leader   2 10 10 10
			s1 a Leader   2 10 10 10
			s2 a Leader   3 11 11 11
			s1 a Leader   2 10 10 12
			s2 a Leader   3 12 12 12
			s1 a Leader   2 10 10 12`, Valid, ""},
		{"two leaders of one term", `
			s1 a Leader   2 10 10 10
			s2 a Leader   2 10 10 10
			s1 a Leader   2 10 10 10
			s2 a Leader   2 10 10 10`, Invalid, "two leaders of term 2: s1, seen from 0.000 s to 0.002 s, and s2"},
		{"a torn answer: the state is of the term before", `
			s1 a Leader   2 10 10 10
			s2 a Leader   3 10 10 11
			s1 a Leader   3 10 10 10
			s2 a Leader   3 11 11 11
			s1 a Follower 3 11 11 11`, Valid, ""},
		{"answers of two lives show no leadership together", `
			s1 a Leader   3 10 10 11
			s2 a Leader   3 10 10 11
			s1 b Leader   3 10 10 11
			s2 a Leader   3 10 10 11`, Valid, ""},
		{"a follower between two observations of a leadership changes nothing", `
			s1 a Follower 2 10 10 10
			s1 a Leader   2 10 10 10
			s1 a Leader   2 10 10 10
			s2 a Follower 2 10 10 10
			s2 a Leader   2 10 10 10
			s2 a Leader   2 10 10 10`, Invalid, "two leaders of term 2"},
		{"a term that falls", `
			s1 a Follower 5 10 10 10
			s1 a Follower 4 10 10 10`, Invalid, "the term of s1 fell from 5 to 4"},
		{"a term that a restart forgets", `
			s1 a Follower 5 10 10 10
			s1 error
			s1 b Follower 4 10 10 10`, Invalid, "the term of s1 fell from 5 to 4 between 0.000 s and 0.002 s"},
		{"a commit index that falls", `
			s1 a Follower 5 10 10 10
			s1 a Follower 5  9  9 10`, Invalid, "the commit index of s1 fell from 10 to 9"},
		{"a commit index that a restart forgets", `
			s1 a Follower 5 10 10 10
			s1 b Follower 5  0  8 10`, Valid, ""},
		{"an applied index that falls", `
			s1 a Follower 5 10 10 10
			s1 a Follower 5 10  9 10`, Invalid, "the applied index of s1 fell from 10 to 9"},
		{"a torn answer: committed between the two readings", `
			s1 a Leader   5 10 12 12
			s1 a Leader   5 12 12 12
			s1 a Leader   5 12 13 13
			s1 a Leader   5 13 13 13`, Valid, ""},
		{"a leader that applied what it had not committed", `
			s1 a Leader   5 10 10 10
			s1 a Leader   5 10 10 12
			s1 a Leader   5 10 12 12
			s1 a Leader   5 11 12 12`, Invalid, "s1, leader of term 5, had applied 12 at 0.002 s, and later, at 0.003 s, committed only 11"},
		{"a follower that restored a snapshot", `
			s1 a Follower 5  0 90 90
			s1 a Follower 5  0 90 90
			s1 a Follower 5 40 90 90`, Valid, ""},
		{"a leader that lacks what was committed", `
			s1 a Follower 5 20 20 20
			s1 a Follower 5 20 20 20
			s2 a Leader   6 10 10 11
			s2 a Leader   6 11 11 11
			s2 a Leader   6 12 12 12`, Invalid, "s2 led term 6 at 0.003 s with a log that ended at 11, but by 0.000 s s1 had committed 20, in term 5 at the latest"},
		{"a leader of an older term may lack it", `
			s1 a Follower 7 20 20 20
			s1 a Follower 7 20 20 20
			s2 a Leader   6 10 10 11
			s2 a Leader   6 11 11 11
			s2 a Leader   6 12 12 12`, Valid, ""},
		{"a client agent has no Raft", ``, Unknown, "no server reported its Raft state"},
		{"nobody answers", `
			s1 error
			s2 error`, Unknown, "no server reported its Raft state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkRaft(context.Background(), watch(t, c.seen))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestRaftLooksPastClientAgents(t *testing.T) {
	tp := &tape{}
	tp.observe(1, "c1", history.Observation{BootID: "a"})
	require.Equal(t, Unknown, checkRaft(context.Background(), tp.run(t, Settings{})).Verdict)
}

func TestAnObservationThatCannotBeReadIsUnknown(t *testing.T) {
	tp := &tape{}
	tp.add(1, history.Event{Process: history.Observer, Type: history.Info, F: history.FObserve, Value: []byte(`"x"`)})
	r := checkRaft(context.Background(), tp.run(t, Settings{}))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "event 0")
}

// A replaced machine knows no term: that is no step back, if a fault emptied the disk.
func TestRaftOfAReplacedServer(t *testing.T) {
	run := watch(t, `
		s1 a Leader   7 90 90 90
		s1 a Leader   7 90 90 90
		s2 a Follower 7 90 90 90
		s2 b Follower 0  0  0  0
		s2 b Follower 7  0  0  0
		s2 b Follower 7 91 91 91
		s1 a Leader   7 91 91 91`)
	require.Equal(t, Invalid, checkRaft(context.Background(), run).Verdict, "the term of s2 fell")
	fault := history.Fault{Name: "replace", Targets: []string{"s2"}, Kills: true, Wipes: true, Start: 2, Healed: 3}
	run.Faults = []history.Fault{fault}
	r := checkRaft(context.Background(), run)
	require.Equal(t, Valid, r.Verdict, r.Summary)
	fault.Wipes = false
	run.Faults = []history.Fault{fault}
	require.Equal(t, Invalid, checkRaft(context.Background(), run).Verdict, "a kill alone is no excuse")
	fault.Wipes, fault.Targets = true, []string{"s1"}
	run.Faults = []history.Fault{fault}
	require.Equal(t, Invalid, checkRaft(context.Background(), run).Verdict, "nor is another's disk")
}

// A server that reports no boot ID, as Consul does, and no term of its own while it starts, is
// killed and started again: its commit index begins anew, and nobody is to blame.
func TestRaftOfServersThatTellNoBoot(t *testing.T) {
	follower := func(term, commit uint64) history.Observation {
		return history.Observation{State: "Follower", Leader: "s1", Term: term, Commit: commit, Applied: commit, Last: commit}
	}
	kill := func(tp *tape, from, to int) {
		const value = `"kills":true,"targets":["s3"]`
		tp.mark(from, "kill", `{"step":0,"stage":"start","lasts":true,`+value+`}`)
		tp.mark(from+1, "kill", `{"step":0,"stage":"start","done":true,"lasts":true,"proved":true,`+value+`}`)
		tp.killed(from+1, "s3")
		tp.mark(to-1, "kill", `{"step":0,"stage":"heal"}`)
		tp.started(to, "s3")
		tp.mark(to, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	}
	begin := func() *tape {
		tp := &tape{}
		return tp.started(0, "s3").observe(3000, "s3", follower(2, 2456))
	}
	for name, c := range map[string]struct {
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		"killed, and started again": {func(tp *tape) {
			kill(tp, 4000, 6000)
			tp.observe(6100, "s3", follower(0, 0)).observe(6500, "s3", follower(3, 0)).observe(9000, "s3", follower(3, 2460))
		}, Valid, "nothing was concluded"},
		"started again, reported a while later": {func(tp *tape) {
			kill(tp, 4000, 6000)
			tp.observe(9000, "s3", follower(3, 0)).observe(9300, "s3", follower(3, 2460))
		}, Valid, ""},
		"an answer that was written down after the kill": {func(tp *tape) {
			kill(tp, 4000, 6000)
			at := slices.IndexFunc(tp.events, func(e history.Event) bool { return e.Process == history.Runtime && e.Time > 4e9 })
			late := &tape{}
			late.observe(4001, "s3", follower(2, 2456))
			tp.events = slices.Insert(tp.events, at+1, late.events...)
			tp.observe(6500, "s3", follower(3, 0)).observe(9000, "s3", follower(3, 2460))
			for i := range tp.events {
				tp.events[i].Index = int64(i)
			}
		}, Valid, "nothing was concluded"},
		"no restart": {func(tp *tape) { tp.observe(9000, "s3", follower(2, 0)) }, Invalid, "the commit index of s3 fell from 2456 to 0"},
		"a restart, and then it falls": {func(tp *tape) {
			kill(tp, 4000, 6000)
			tp.observe(9000, "s3", follower(3, 2460)).observe(9300, "s3", follower(3, 7))
		}, Invalid, "fell from 2460 to 7"},
		"a term that falls over a restart": {func(tp *tape) {
			kill(tp, 4000, 6000)
			tp.observe(9000, "s3", follower(1, 2460))
		}, Invalid, "the term of s3 fell from 2 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			tp := begin()
			c.record(tp)
			r := checkRaft(context.Background(), tp.run(t, Settings{Format: formatSealed}))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
	// An old run: no runtime reported processes.
	tp := &tape{}
	tp.observe(3000, "s3", follower(2, 2456))
	tp.mark(4000, "kill", `{"step":0,"stage":"start","lasts":true,"kills":true,"targets":["s3"]}`)
	tp.mark(4001, "kill", `{"step":0,"stage":"heal"}`).mark(6000, "kill", `{"step":0,"stage":"heal","done":true,"proved":true}`)
	tp.observe(6500, "s3", follower(3, 0)).observe(9000, "s3", follower(3, 5)).observe(9500, "s3", follower(3, 2460))
	r := checkRaft(context.Background(), tp.run(t, Settings{}))
	require.Equal(t, Valid, r.Verdict, "%s", r.Summary)
}

package checker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

func of(f history.Op, key, value string) history.Event {
	return history.Event{F: f, Key: key, Value: json.RawMessage(value)}
}

func failed(e history.Event, code history.Code, hops string) history.Event {
	e.Type, e.Error, e.Hops = history.Fail, code, hopsOf(hops)
	return e
}

func stale(e history.Event, ageMS int64, index uint64, hops string) history.Event {
	e.F, e.Mode, e.AgeMS, e.ModifyIndex, e.Hops = history.OpRead, history.ModeStale, ageMS, index, hopsOf(hops)
	return e
}

func at(e history.Event, index uint64) history.Event {
	e.ModifyIndex = index
	return e
}

func TestValuesWhereNobodyMeantThem(t *testing.T) {
	for name, c := range map[string]struct {
		says   string // empty: it is as it should be
		record func(*tape)
	}{
		"the same key in both": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc1", of("write", "k", "1")).far(3, 4, "a", "dc2", of("write", "k", "2"))
			tp.far(5, 6, "c", "dc1", of("read", "k", "1")).far(7, 8, "c", "", of("read", "k", "2"))
		}},
		"the same value in both": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc1", of("write", "k", "1")).far(3, 4, "a", "dc2", of("write", "k", "1")).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"the same value in another key": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc1", of("write", "k", "1")).far(3, 4, "a", "dc2", of("write", "l", "1")).far(5, 6, "c", "dc2", of("read", "l", "1"))
		}},
		"of unknown fate": {"", func(tp *tape) {
			lost := of("write", "k", "1")
			lost.Type, lost.Error = history.Info, history.Timeout
			tp.far(1, 2, "a", "dc2", lost).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"failed, and tried again with the same value": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", failed(of("write", "k", "1"), history.NoLeader, "")).far(3, 4, "a", "dc2", of("write", "k", "1")).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"a lock that its session got after it was refused": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", failed(of("acquire", "k", `"s"`), history.LockHeld, ""))
			tp.far(3, 4, "a", "dc2", of("read", "k", `{"value":"s","session":"s"}`))
		}},
		"somebody else's": {"", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("read", "k", `"garbage"`)).far(3, 4, "a", "dc2", of("read", "k", "null"))
		}},

		"a write": {"a read of c, answered at 0.006 s, found 1 in key k of dc2, where nobody asked for it: a write of a at 0.001 s was meant for dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc1", of("write", "k", "1")).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"a local write, seen far away": {"meant for dc1", func(tp *tape) {
			tp.far(1, 2, "a", "", of("write", "k", "1")).far(5, 6, "a", "dc2", of("read", "k", "1"))
		}},
		"a write that failed, of another datacenter": {"meant for dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc1", failed(of("write", "k", "1"), history.NoLeader, "")).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"a compare-and-set, by a compare that failed": {"found 2 in key k of dc2", func(tp *tape) {
			miss := failed(of("cas", "k", "[3,4]"), history.CASMismatch, "")
			miss.Current = history.Int(2)
			tp.far(1, 2, "a", "dc1", of("cas", "k", "[1,2]")).far(5, 6, "c", "dc2", miss)
		}},
		"an element": {"found 7 in key l of dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("cas", "l", "[[6],[6,7]]")).far(5, 6, "c", "dc1", of("read", "l", "[5,7]"))
		}},
		"an append": {"found 7 in key l of dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("append", "l", "7")).far(5, 6, "c", "dc1", of("read", "l", "[7]"))
		}},
		"a lock": {`found "s" in key k of dc1`, func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("acquire", "k", `"s"`)).far(5, 6, "c", "dc1", of("read", "k", `{"value":"","session":"s"}`))
		}},
		"in a listing": {`found "v1" in key d/a of dc1`, func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("write", "d/a", `"v1"`)).far(5, 6, "c", "dc1", of("list", "d/", `{"entries":[{"key":"d/a","value":"v1"}],"next":3}`))
		}},
		"in a watch": {"found 3 in key k of dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("write", "k", "3")).far(5, 6, "c", "dc1", of("watch", "k", `{"value":3,"next":3}`))
		}},
		"in a copy": {"a copy of b, answered at 0.009 s, found 1 in key k of dc1", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", of("write", "k", "1"))
			tp.add(9, history.Event{Process: history.Observer, Type: history.Info, F: history.FCopy, Key: "k", Value: history.Int(1), Node: "b"})
		}},
		"a definite error that took effect": {"had certainly failed (dc-failed)", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", failed(of("write", "k", "1"), history.DCFailed, "")).far(5, 6, "c", "dc2", of("read", "k", "1"))
		}},
		"a definite error of an append": {"had certainly failed (no-leader)", func(tp *tape) {
			tp.far(1, 2, "a", "dc2", failed(of("append", "l", "1"), history.NoLeader, "")).far(5, 6, "c", "dc2", of("read", "l", "[1]"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults)
			c.record(tp)
			tp.far(20, 21, "a", "dc2", of("read", "other", "null"))
			run := tp.runOf(t, twoDCs(), Settings{})
			require.Empty(t, forwards(run))
			r := checkForwarding(context.Background(), run)
			if c.says == "" {
				require.Equal(t, Valid, r.Verdict, r.Summary)
				return
			}
			require.Equal(t, Invalid, r.Verdict)
			require.Len(t, r.Reasons, 1)
			require.Contains(t, r.Summary, c.says)
			require.Len(t, r.Counterexamples, 1)
			require.Len(t, r.Counterexamples[0].Ops, 2)
		})
	}
	require.Contains(t, forwards(&Run{Topology: serversNamed("a")}), "there is one datacenter (dc1)")
	near := (&tape{}).far(1, 2, "a", "dc1", of("write", "k", "1"))
	require.Contains(t, forwards(near.runOf(t, twoDCs(), Settings{})), "no node was asked for the data of another")
}

func TestErrorsThatSayWhatADatacenterIsLike(t *testing.T) {
	good := of("write", "k", "1")
	through := func(hops string) history.Event {
		e := good
		e.Hops = hopsOf(hops)
		return e
	}
	bad := func(code history.Code, hops string) history.Event { return failed(of("write", "k", "9"), code, hops) }
	started := func(tp *tape, ms int, node string) {
		tp.process(ms, node, history.ProcessEvent{Kind: history.ProcessStarted})
	}
	for name, c := range map[string]struct {
		says   string
		record func(*tape)
	}{
		"never heard of, before anybody had been there": {"", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", bad(history.NoPath, "")).far(10002, 10003, "a", "dc2", good)
		}},
		"never heard of, by another server": {"", func(tp *tape) {
			tp.far(10000, 10001, "b", "dc2", good).far(10002, 10003, "a", "dc2", bad(history.NoPath, ""))
		}},
		"never heard of, after a restart": {"", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", good)
			started(tp, 12000, "a")
			tp.far(20002, 20003, "a", "dc2", bad(history.NoPath, ""))
		}},
		"never heard of, about a restart": {"", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", good).far(10002, 10003, "a", "dc2", bad(history.NoPath, ""))
			started(tp, 10003, "a")
		}},
		"from a client agent, who knows whom it asked": {"", func(tp *tape) {
			tp.far(10000, 10001, "e", "dc1", good).far(10002, 10003, "e", "dc1", bad(history.NoPath, ""))
		}},
		"from a client agent, by another server": {"", func(tp *tape) {
			tp.far(10000, 10001, "e", "dc1", through("e:client c:follower a:leader")).far(10002, 10003, "e", "dc1", bad(history.NoPath, "e:client d:follower"))
		}},
		"asked while the first was under way": {"", func(tp *tape) {
			tp.far(10000, 10009, "a", "dc2", good)
			tp.events = tp.events[:len(tp.events)-1]
			tp.far(10002, 10003, "a", "dc2", bad(history.NoPath, ""))
			tp.add(10009, history.Event{Process: 0, Type: history.OK, F: "write", Key: "k", Value: history.Int(1), Node: "a", DC: "dc2"})
		}},
		"of servers that have left": {"", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", good)
			tp.mark(10005, "leave", `{"step":0,"stage":"start","lasts":true,"rejoins":true,"targets":["c","d"]}`)
			tp.far(10012, 10013, "a", "dc2", bad(history.NoPath, ""))
		}},
		"down, and failed": {"", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", good).far(10002, 10003, "a", "dc2", bad(history.DCDown, "a:leader")).far(10004, 10005, "b", "dc2", bad(history.DCFailed, "b:follower"))
		}},

		"never heard of, and been there": {"a, which has not been started again since, had been there by 10.001 s", func(tp *tape) {
			started(tp, 2000, "a")
			tp.far(10000, 10001, "a", "dc2", good).far(10002, 10003, "a", "dc2", bad(history.NoPath, ""))
			started(tp, 11000, "b")
		}},
		"never heard of, and known to be down": {"had been there by 10.001 s", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", bad(history.DCDown, "")).far(10002, 10003, "a", "dc2", bad(history.NoPath, ""))
		}},
		"never heard of, from behind a client agent": {"c, which has not been started again since", func(tp *tape) {
			tp.far(10000, 10001, "c", "dc1", through("c:follower a:leader")).far(10002, 10003, "e", "dc1", bad(history.NoPath, "e:client c:follower"))
		}},
		"of its own datacenter": {"and that node is in dc1 itself", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc1", bad(history.NoPath, "")).far(10002, 10003, "a", "dc2", good)
		}},
		"from the very datacenter": {"and had come to c, which is in dc2", func(tp *tape) {
			tp.far(10000, 10001, "a", "dc2", bad(history.DCDown, "a:leader c:follower"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults)
			c.record(tp)
			r := checkForwarding(context.Background(), tp.runOf(t, twoDCs(), Settings{}))
			if c.says == "" {
				require.Equal(t, Valid, r.Verdict, r.Summary)
				return
			}
			require.Equal(t, Invalid, r.Verdict)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

// threeAndOne is dc1 of three servers and dc2 of one.
func threeAndOne() topologies.Topology {
	return topologies.Topology{Name: "uneven", Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"a", "b", "c"}}},
		{Name: "dc2", Servers: topologies.Members{Names: []string{"z"}}},
	}}
}

func TestAgesOfServersThatAreCutOff(t *testing.T) {
	all := []string{"a", "b", "c", "z"}
	cutOff := broken(nil, "a-b", "a-c")
	dead := broken(map[string]faults.ProcessState{"b": faults.Killed, "c": faults.Paused})
	says := func(s history.State) history.Observation { return history.Observation{State: s, Term: 2} }
	follower := func(tp *tape) { tp.observe(4000, "a", says(history.Follower)) }
	r := func(ms int64, ageMS int64) history.Event { return stale(of("", "k", "1"), ageMS, 0, "a:follower") }
	for name, c := range map[string]struct {
		lies   bool
		want   faults.Conditions
		before func(*tape) // the read, at 8 s
		ageMS  int64
		edit   func(*history.FaultEvent, *faults.Evidence)
		node   string
		hops   string
	}{
		"it says when":                    {false, cutOff, follower, 7000, nil, "z", "z:leader a:follower"},
		"it says little less":             {false, cutOff, follower, 3000, nil, "z", "z:leader a:follower"},
		"it says 0":                       {true, cutOff, follower, 0, nil, "z", "z:leader a:follower"},
		"it says a second":                {true, cutOff, follower, 1000, nil, "z", "z:leader a:follower"},
		"asked by itself":                 {true, cutOff, follower, 1000, nil, "a", "a:follower"},
		"asked by itself, without hops":   {true, cutOff, follower, 1000, nil, "a", ""},
		"from afar, without hops":         {false, cutOff, follower, 1000, nil, "z", ""},
		"the others are dead":             {true, dead, follower, 0, nil, "z", "z:leader a:follower"},
		"another answered":                {false, cutOff, follower, 0, nil, "z", "z:leader b:follower"},
		"it hears one":                    {false, broken(nil, "a-b"), follower, 0, nil, "z", "z:leader a:follower"},
		"it only hears":                   {false, broken(nil, "a>b", "a>c"), follower, 0, nil, "z", "z:leader a:follower"},
		"it is only heard":                {true, broken(nil, "b>a", "c>a"), follower, 0, nil, "z", "z:leader a:follower"},
		"nobody knows whether it leads":   {false, cutOff, func(*tape) {}, 0, nil, "z", "z:leader a:follower"},
		"what it said may be from before": {false, cutOff, func(tp *tape) { tp.observe(2900, "a", says(history.Follower)) }, 0, nil, "z", "z:leader a:follower"},
		"it led till now":                 {false, cutOff, func(tp *tape) { tp.observe(4000, "a", says(history.Leader)) }, 0, nil, "z", "z:leader a:follower"},
		"it led, and stepped down just now": {false, cutOff, func(tp *tape) {
			tp.observe(4000, "a", says(history.Leader)).observe(7500, "a", says(history.Candidate))
		}, 0, nil, "z", "z:leader a:follower"},
		"it led, and stepped down before": {true, cutOff, func(tp *tape) {
			tp.observe(3100, "a", says(history.Leader)).observe(5500, "a", says(history.Candidate))
		}, 0, nil, "z", "z:leader a:follower"},
		"the cut was not measured":      {false, cutOff, follower, 0, func(_ *history.FaultEvent, e *faults.Evidence) { e.Got = nil }, "z", "z:leader a:follower"},
		"its peer set is being changed": {false, cutOff, follower, 0, func(m *history.FaultEvent, _ *faults.Evidence) { m.Rejoins = true }, "z", "z:leader a:follower"},
		"it may end by itself":          {false, cutOff, follower, 0, func(m *history.FaultEvent, _ *faults.Evidence) { m.Exits = true }, "z", "z:leader a:follower"},
		"it never heard of a leader":    {false, cutOff, follower, 9223372036854, nil, "z", "z:leader a:follower"},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			m, e := history.FaultEvent{Stage: history.FaultStart, Lasts: true, Targets: []string{"a"}}, shown(c.want, c.want, all...)
			if c.edit != nil {
				c.edit(&m, e)
			}
			tp.phase(0, history.PhaseFaults).far(1, 2, "a", "dc2", of("read", "other", "null")).stage(1000, m, e)
			c.before(tp)
			read := r(8000, c.ageMS)
			read.AgeMS, read.Hops = c.ageMS, hopsOf(c.hops)
			tp.far(8000, 8001, c.node, "dc1", read).phase(9000, history.PhaseFinal)
			got := checkForwarding(context.Background(), tp.runOf(t, threeAndOne(), Settings{}))
			require.Equal(t, c.lies, got.Verdict == Invalid, got.Summary)
			if c.lies {
				require.Contains(t, got.Summary, "nothing had come to it from any server of its datacenter since")
			}
		})
	}
}

func TestAgesWhileAllIsWell(t *testing.T) {
	all := []string{"a", "b", "c", "z"}
	r := func(ageMS int64, index uint64) history.Event {
		return stale(of("", "k", "1"), ageMS, index, "z:leader a:follower")
	}
	for name, c := range map[string]struct {
		lies   bool
		want   faults.Conditions
		wrote  int // ms, when a write of index 8 was answered
		read   history.Event
		asked  int
		within time.Duration
	}{
		"it is new":                              {false, faults.Conditions{}, 2000, r(0, 8), 20000, 5 * time.Second},
		"old, but not for long":                  {false, faults.Conditions{}, 16000, r(0, 7), 20000, 5 * time.Second},
		"old, and says so":                       {false, faults.Conditions{}, 2000, r(17000, 7), 20000, 5 * time.Second},
		"old, and says that it is new":           {true, faults.Conditions{}, 2000, r(0, 7), 20000, 5 * time.Second},
		"old, since before all was well":         {false, faults.Conditions{}, 500, r(0, 7), 5900, 5 * time.Second},
		"old, since long before all was well":    {true, faults.Conditions{}, 500, r(0, 7), 6500, 5 * time.Second},
		"no bound":                               {false, faults.Conditions{}, 2000, r(0, 7), 20000, 0},
		"one of them is dead":                    {false, broken(map[string]faults.ProcessState{"b": faults.Killed}), 2000, r(0, 7), 20000, 5 * time.Second},
		"something is wrong between datacenters": {true, broken(nil, "a-z"), 2000, r(0, 7), 20000, 5 * time.Second},
		"it found nothing":                       {false, faults.Conditions{}, 2000, r(0, 0), 20000, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults)
			if c.wrote < 1000 {
				tp.far(c.wrote-1, c.wrote, "z", "dc1", at(of("write", "k", "2"), 8))
			}
			tp.stage(1000, history.FaultEvent{Stage: history.FaultStart, Lasts: true, Targets: []string{"b"}}, shown(c.want, c.want, all...))
			if c.wrote >= 1000 {
				tp.far(c.wrote-1, c.wrote, "z", "dc1", at(of("write", "k", "2"), 8))
			}
			tp.far(c.asked, c.asked+5, "z", "dc1", c.read)
			run := tp.phase(30000, history.PhaseFinal).runOf(t, threeAndOne(), Settings{RecoverWithin: c.within})
			run.Faults = nil // that is not healed, which would excuse all
			run.Baseline = nil
			if len(c.want.Links) == 0 && len(c.want.Processes) == 0 { // what nobody asked for is no evidence
				run.Events = markVerified(run.Events)
			}
			got := checkForwarding(context.Background(), run)
			require.Equal(t, c.lies, got.Verdict == Invalid, got.Summary)
			if c.lies {
				require.Contains(t, got.Summary, "as of index 7, and declared an age of 0 ms; index 8 had been answered by")
			}
		})
	}
}

// markVerified makes a heal of the stage of a fault that asked for nothing.
func markVerified(events []history.Event) []history.Event {
	for i := range events {
		e := &events[i]
		if e.Process != history.Nemesis {
			continue
		}
		var m history.FaultEvent
		if err := json.Unmarshal(e.Value, &m); err != nil {
			panic(err)
		}
		m.Stage = history.Baseline
		e.Value = encode(m)
	}
	return events
}

func TestHowFarStaleReadsLag(t *testing.T) {
	tp := &tape{}
	tp.far(1, 2, "z", "dc1", at(of("write", "k", "1"), 7)).far(3, 10, "z", "dc1", at(of("write", "k", "2"), 8))
	tp.far(260, 270, "z", "dc1", stale(of("", "k", "1"), 49, 7, "z:leader a:follower"))
	r := checkForwarding(context.Background(), tp.runOf(t, threeAndOne(), Settings{}))
	require.Equal(t, Valid, r.Verdict, "nothing is certain of it")
	require.Equal(t, Metric{"most that a stale read was older than declared, at least", 200, "ms"}, r.Metrics[len(r.Metrics)-1])
}

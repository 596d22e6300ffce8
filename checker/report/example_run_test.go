package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

// example makes up a run that looks like a real one: a minute, three servers and two
// client agents, ten clients, nine faults. The same seed makes the same run.
type example struct {
	t      *testing.T
	random *rand.Rand
	events []history.Event
	next   int64 // the next unique value
	rate   float64
	length float64 // seconds
}

var exampleNodes = []string{"dc1-s1", "dc1-s2", "dc1-s3", "dc1-c1", "dc1-c2"}

const exampleClients = 10

func sec(s float64) int64 { return int64(s * 1e9) }

// leadership is who led when, in seconds.
var exampleLeaderships = []struct {
	node       string
	term       uint64
	from, till float64
}{{"dc1-s2", 2, 0, 4.1}, {"dc1-s1", 3, 5.4, 16}, {"dc1-s3", 5, 17.9, 27.2}, {"dc1-s2", 6, 27.3, 36.1}, {"dc1-s1", 7, 38, 60}}

var exampleFaults = []struct {
	name       string
	targets    []string
	from, till float64
	asked      string
}{
	{"partition", []string{"dc1-s2"}, 4, 9, "8 links dropped: dc1-s2>dc1-s1 dc1-s1>dc1-s2 …"},
	{"pause", []string{"dc1-s3"}, 11, 14, "dc1-s3 paused"},
	{"kill", []string{"dc1-s1"}, 16, 20, "dc1-s1 killed"},
	{"partition", []string{"dc1-s1", "dc1-c1"}, 22, 26, "6 links rejected, inwards"},
	{"transfer", []string{"dc1-s3"}, 27, 27, "another server leads"},
	{"pause", []string{"dc1-s1", "dc1-s2"}, 30, 33, "dc1-s1, dc1-s2 paused"},
	{"deposed-leader-reads", []string{"dc1-s2"}, 36, 40, "dc1-s2 paused; 60 reads while it wakes"},
	{"partition", []string{"dc1-s3"}, 38.5, 43, "4 links dropped, outwards"},
	{"kill", []string{"dc1-s2"}, 44, 47, "dc1-s2 killed"},
}

func newExample(t *testing.T, rate float64) *example {
	e := &example{t: t, random: rand.New(rand.NewPCG(7, 7)), rate: rate, length: 60}
	e.mark(0, history.Harness, history.FPhase, history.PhaseFaults)
	e.mark(48, history.Harness, history.FPhase, history.PhaseQuiet)
	e.mark(57, history.Harness, history.FPhase, history.PhaseFinal)
	e.mark(60, history.Harness, history.FPhase, history.PhaseEnd)
	e.nemesis()
	e.observer()
	for thread := range exampleClients {
		e.client(thread)
	}
	return e
}

func (e *example) value(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	require.NoError(e.t, err)
	return raw
}

func (e *example) mark(at float64, who history.Process, f history.Op, v any) {
	e.events = append(e.events, history.Event{Time: sec(at), Process: who, Type: history.Info, F: f, Value: e.value(v)})
}

func (e *example) nemesis() {
	for i, f := range exampleFaults {
		m := history.FaultEvent{Step: i, Stage: history.FaultStart, Lasts: f.till > f.from, Targets: f.targets, Asked: f.asked}
		e.mark(f.from, history.Nemesis, history.Op(f.name), m)
		m.Done, m.Measured, m.Verified = true, "as asked: 40 of 40 probes", true
		e.mark(f.from+0.12, history.Nemesis, history.Op(f.name), m)
		if m.Lasts {
			e.mark(f.till, history.Nemesis, history.Op(f.name), history.FaultEvent{Step: i, Stage: history.FaultHeal})
			e.mark(f.till+0.15, history.Nemesis, history.Op(f.name), history.FaultEvent{Step: i, Stage: history.FaultHeal, Done: true, Verified: true, Measured: "40 of 40 probes open"})
		}
	}
	e.mark(47.6, history.Nemesis, "baseline", history.FaultEvent{Step: -1, Stage: history.Baseline, Done: true, Verified: true, Measured: "all 20 links open, all 5 processes running"})
}

func (e *example) observer() {
	for at := 0.05; at < e.length; at += 0.2 {
		for i, node := range exampleNodes[:3] {
			o := history.Observation{BootID: "b", State: "Follower", Commit: uint64(at * 100), Applied: uint64(at * 100)}
			for _, r := range exampleLeaderships {
				if at >= r.from {
					o.Term = r.term
					if r.node == node && at < r.till {
						o.State = "Leader"
					}
				}
			}
			if f := e.hit(node, at); f == "kill" || f == "pause" || f == "deposed-leader-reads" {
				o = history.Observation{Error: "timeout"}
			}
			e.events = append(e.events, history.Event{Time: sec(at) + int64(i)*1e6, Process: history.Observer, Type: history.Info,
				F: history.FObserve, Node: node, Value: e.value(o)})
		}
	}
}

// hit is the fault that is in force on a node.
func (e *example) hit(node string, at float64) string {
	for _, f := range exampleFaults {
		if at >= f.from && at < f.till && slices.Contains(f.targets, node) {
			return f.name
		}
	}
	return ""
}

func (e *example) leader(at float64) (string, bool) {
	for _, r := range exampleLeaderships {
		if at >= r.from && at < r.till && e.hit(r.node, at) == "" {
			return r.node, true
		}
	}
	return "", false
}

func (e *example) client(thread int) {
	node := exampleNodes[thread%len(exampleNodes)]
	process := history.Process(thread)
	pace := exampleClients / e.rate
	for at := e.random.Float64() * pace; at < e.length-0.6; {
		op := history.Event{Time: sec(at), Process: process, Type: history.Invoke, Node: node, Key: fmt.Sprintf("k%d", int(at/9)*5+e.random.IntN(5))}
		answer := e.question(&op)
		u := e.random.Float64()
		took := 0.0007 + float64(u*u*u*u*u*0.009) // a conversion forbids fused arithmetic: the same on every machine
		if op.F != "read" {
			took *= 2.4
		}
		took = e.answer(&answer, node, at, took)
		answer.Time = sec(at + took)
		e.events = append(e.events, op, answer)
		if answer.Type == history.Info {
			process += exampleClients
		}
		at += max(took, pace*(0.5+e.random.Float64()))
		if answer.Error == "connection-refused" {
			at += 0.05
		}
	}
}

// question draws an operation and its answer if all is well.
func (e *example) question(op *history.Event) (answer history.Event) {
	e.next++
	switch draw := e.random.Float64(); {
	case draw < 0.5:
		op.F, op.Mode = "read", "default"
	case draw < 0.8:
		op.F, op.Value = "write", history.Int(e.next)
	default:
		old := e.next - 1
		op.F, op.Value = "cas", history.Pair(&old, e.next)
	}
	answer = *op
	answer.Type, answer.ModifyIndex = history.OK, uint64(e.next)
	if op.F == "read" {
		answer.Value = history.Int(e.next - 3)
	}
	if op.F == "cas" && e.random.Float64() < 0.3 {
		answer.Type, answer.Error, answer.Current = history.Fail, "cas-mismatch", history.Int(e.next-2)
	}
	return answer
}

// answer spoils an answer by the faults in force, and returns how long it took.
func (e *example) answer(a *history.Event, node string, at, took float64) float64 {
	leader, led := e.leader(at)
	spoil := func(kind history.Type, code history.Code, seconds float64) float64 {
		a.Type, a.Error, a.Current = kind, code, nil
		return seconds
	}
	switch hit := e.hit(node, at); {
	case hit == "kill":
		return spoil(history.Fail, "connection-refused", 0.0007)
	case hit != "" && hit != "transfer":
		return spoil(history.Info, "timeout", 0.5)
	case !led && e.random.Float64() < 0.2:
		return spoil(history.Info, "leadership-lost", 0.3)
	case !led:
		return spoil(history.Fail, "no-leader", 0.25+float64(0.2*e.random.Float64()))
	case node == leader:
		a.Hops = []history.Hop{{Node: node, Role: "leader", MS: took * 900}}
	case node == "dc1-c1" || node == "dc1-c2":
		a.Hops = []history.Hop{{Node: node, Role: "client", MS: took * 900}, {Node: "dc1-s1", Role: "follower", MS: took * 600}, {Node: leader, Role: "leader", MS: took * 400}}
	default:
		a.Hops = []history.Hop{{Node: node, Role: "follower", MS: took * 900}, {Node: leader, Role: "leader", MS: took * 500}}
	}
	return took
}

// run sorts the events into a history and pairs it.
func (e *example) run() *checker.Run {
	slices.SortStableFunc(e.events, func(a, b history.Event) int { return cmp.Compare(a.Time, b.Time) })
	for i := range e.events {
		e.events[i].Index = int64(i)
	}
	ops, err := history.Operations(e.events)
	require.NoError(e.t, err)
	faults, baseline, err := history.Faults(e.events)
	require.NoError(e.t, err)
	topology, err := topologies.Load("dc1-3c2")
	require.NoError(e.t, err)
	return &checker.Run{Settings: checker.Settings{Workload: "register", Mode: "default", PlannedFaults: len(faults)},
		Topology: topology, Events: e.events, Ops: ops, Faults: faults, Baseline: baseline}
}

// validData is a run in which all went well.
func validData(t *testing.T, rate float64) Data {
	return Data{
		Scenario: "partitions", Command: "faultline test ci/smoke/partitions.yaml --schedule store/partitions/latest/resolved.yaml",
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Length: 60*time.Second + 214*time.Millisecond,
		Runtime: "docker", System: "agent", Verdict: checker.Valid, Run: newExample(t, rate).run(),
		Results: []checker.Result{
			{Checker: "linearizable", Verdict: checker.Valid, Summary: "all 35 keys are linearizable", Metrics: []checker.Metric{{Name: "keys", Value: 35}, {Name: "longest key", Value: 611, Unit: "operations"}, {Name: "search", Value: 0.8412, Unit: "s"}},
				Budget: &checker.Budget{WallSeconds: 60, MemoryMB: 2048, Cores: 2, UsedWallSeconds: 0.8412, PeakMemoryMB: 11.5}},
			{Checker: "raft", Verdict: checker.Valid, Summary: "at most one leader in each of 5 terms", Metrics: []checker.Metric{{Name: "terms", Value: 5}, {Name: "observations", Value: 900}}},
			{Checker: "availability", Verdict: checker.Valid, Summary: "writes succeeded 212 ms after the last heal", Metrics: []checker.Metric{{Name: "success outside faults", Value: 99.3, Unit: "%"}, {Name: "longest outage", Value: 1.9, Unit: "s"}}},
			{Checker: "faults", Verdict: checker.Valid, Summary: "all 9 faults took place, were measured and healed"},
			{Checker: "load", Verdict: checker.Valid, Summary: "operations overlapped every fault"},
		},
		ScenarioText: "name: partitions\nfamilies: [partition, kill]\n",
		ScheduleText: "steps:\n  - {at: 4s, for: 5s, fault: partition, target: primary}\n",
		ResolvedText: "steps:\n  - {at: 4s, for: 5s, fault: partition, target: [dc1-s2]}\n",
		TopologyText: "name: dc1-3c2\ndatacenters:\n  - {name: dc1, servers: 3, clients: 2}\n",
		Versions:     map[string]string{"faultline": "v0.1.0", "go": "go1.26.8", "kernel": "6.18.0", "agent": "sha256:1f0c9c"},
		Dir:          "store/partitions/20260102T030405Z",
	}
}

// invalidData is a run with two counterexamples.
func invalidData(t *testing.T, rate float64) Data {
	d := validData(t, rate)
	e := newExample(t, rate)
	first := []history.Operation{
		{Process: 9003, F: "write", Key: "k21", Input: history.Int(41202), Node: "dc1-s3", Invoke: 39_921_400_000, Return: 39_924_810_000, Type: history.OK, ModifyIndex: 8801},
		{Process: 9006, F: "write", Key: "k21", Input: history.Int(41207), Node: "dc1-s1", Invoke: 39_951_002_000, Return: 39_953_377_000, Type: history.OK, ModifyIndex: 8809},
		{Process: 9071, F: "read", Key: "k21", Output: history.Int(41202), Node: "dc1-s2", Mode: "default", Invoke: 39_994_118_000, Return: 40_031_240_000, Type: history.OK},
	}
	absent := (*int64)(nil)
	second := []history.Operation{
		{Process: 9102, F: "cas", Key: "k24", Input: history.Pair(absent, 52001), Node: "dc1-c1", Invoke: 44_100_000_000, Return: history.Pending, Type: history.Info, Error: "timeout"},
		{Process: 9105, F: "read", Key: "k24", Output: history.Int(52001), Node: "dc1-s1", Mode: "default", Invoke: 44_180_250_000, Return: 44_182_000_000, Type: history.OK},
		{Process: 9104, F: "cas", Key: "k24", Input: history.Pair(ptr(52000), 52009), Node: "dc1-s3", Invoke: 44_181_100_000, Return: 44_190_330_000, Type: history.Fail, Error: "cas-mismatch", Current: history.Int(52001)},
		{Process: 9107, F: "read", Key: "k24", Output: history.Null, Node: "dc1-s3", Mode: "default", Invoke: 46_190_250_000, Return: 46_191_000_000, Type: history.OK},
	}
	for _, op := range slices.Concat(first, second) {
		e.events = append(e.events, eventsOf(op)...)
	}
	d.Scenario, d.Dir, d.Verdict = "deposed-leader", "store/deposed-leader/20260102T030405Z", checker.Invalid
	d.Run = e.run()
	d.Notes = []string{"The topology has an even number of servers in dc2."}
	why := []string{
		"the read of 41202 by process 9071 at dc1-s2 began 40.7 ms after the write of 41207 by process 9006 at dc1-s1 had been acknowledged, yet it returned the older value 41202",
		"process 9105 read 52001, and 2.0 s later process 9107 read that the key is absent, although nobody deletes",
	}
	reasons := []string{"key k21: " + why[0], "key k24: " + why[1], "3 more keys are not linearizable either"}
	d.Results[0] = checker.Result{Checker: "linearizable", Verdict: checker.Invalid, Summary: "5 of 35 keys not linearizable: " + reasons[0],
		Reasons: reasons, Metrics: d.Results[0].Metrics, Budget: d.Results[0].Budget,
		Counterexamples: []checker.Counterexample{
			{Key: "k21", Of: 611, File: "linearizability/k21.html", Ops: first, Why: why[0]},
			{Key: "k24", Of: 574, File: "linearizability/k24.html", Ops: second, Why: why[1]},
		}}
	d.Results[3] = checker.Result{Checker: "faults", Verdict: checker.Unknown, Summary: "the effect of 1 of 9 faults was not measured",
		Reasons: []string{"step 5, pause of dc1-s1 and dc1-s2: dc1-s2 is running, not paused"}}
	d.Run.Faults[5].Verified, d.Run.Faults[5].Measured, d.Run.Faults[5].Error = false, "dc1-s1 paused", "dc1-s2 is running, not paused"
	return d
}

func ptr(v int64) *int64 { return &v }

func eventsOf(op history.Operation) []history.Event {
	e := history.Event{Time: op.Invoke, Process: op.Process, Type: history.Invoke, F: op.F, Key: op.Key, Value: op.Input, Node: op.Node, Mode: op.Mode}
	if op.Return == history.Pending {
		return []history.Event{e}
	}
	done := e
	done.Time, done.Type, done.Value, done.Error, done.Current, done.ModifyIndex = op.Return, op.Type, op.Output, op.Error, op.Current, op.ModifyIndex
	return []history.Event{e, done}
}

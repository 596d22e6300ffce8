package nemesis

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"faultline/checker"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// The tests of this file ask of every fault, target and option whether evidence could be taken for a proof when it did not come
// true. Each sample is played once, on a cluster that does all that it is asked; what the history then has is changed
// into what it would have if nothing, or not all, had happened. A fault or an option that is new fails them until it has a sample here.

// least is what a step of a fault cannot be without, beside its times and its target.
var least = map[string]string{
	"bit-flip": "file: raft/*",
	"clock":    "offset: 1h",
	"disk":     "full: true",
	"link":     "loss: 0.2",
	"truncate": "file: raft/*",
}

// samples are steps that use an option, with what it needs beside it: near the ends of its range, where it shows least.
var samples = map[string][]string{
	"below-majority": {"below-majority: true"},
	"burst":          {"burst-loss: 0.1, burst: 5", "burst-loss: 0.3, burst: 20"},
	"burst-loss":     {"burst-loss: 0.1, burst: 5", "burst-loss: 0.3, burst: 20", "loss: 0.1, burst-loss: 0.1, burst: 4"},
	"corrupt":        {"corrupt: 0.01", "corrupt: 0.95"},
	"cycle":          {"cycle: 2s", "cycle: 4500ms"},
	"delay":          {"delay: 4ms", "delay: 2s", "delay: 40ms, jitter: 10ms, loss: 0.05", "delay: 10ms, jitter: 30ms, scramble: true", "rate: 8000, delay: 40ms"},
	"drift":          {"drift: 0.001", "drift: -0.001", "drift: 10", "drift: -0.9", "drift: 0.001, offset: 1h"},
	"duplicate":      {"duplicate: 0.01", "duplicate: 0.95"},
	"failing-fsync":  {"failing-fsync: true"},
	"failing-reads":  {"failing-reads: true"},
	"failing-writes": {"failing-writes: true"},
	"file":           {"file: raft/*"},
	"forward":        {"forward: 10ms", "forward: 1h", "forward: 20ms, monotonic: 0.001", "forward: 5s, monotonic: -0.05"},
	"full":           {"full: true", "full: true, slow-fsync: 50ms"},
	"hold-back":      {"reorder: 0.25, hold-back: 20ms", "reorder: 0.95, hold-back: 2s", "reorder: 0.3, hold-back: 100ms, loss: 0.2, delay: 40ms"},
	"jitter":         {"jitter: 4ms", "jitter: 2s", "delay: 40ms, jitter: 10ms, loss: 0.05"},
	"loss":           {"loss: 0.01", "loss: 0.95", "delay: 40ms, jitter: 10ms, loss: 0.05", "rate: 8000, loss: 0.2", "loss: 0.1, burst-loss: 0.1, burst: 4"},
	"lying-fsync":    {"lying-fsync: true", "lying-fsync: true, slow-fsync: 5ms"},
	"monotonic":      {"monotonic: 0.001", "monotonic: -0.001", "monotonic: 10", "monotonic: -0.9"},
	"names":          {"names: posix", "names: posix, torn: true"},
	"offset":         {"offset: 10ms", "offset: -10ms", "offset: 1h, drift: 0.1"},
	"oneway":         {"oneway: in", "oneway: out"},
	"only":           {"only: gossip", "only: rpc", "only: gossip, oneway: out"},
	"operations":     {"operations: 2"},
	"period":         {"strobe: 10ms, period: 1ms", "strobe: -1h, period: 500ms", "strobe: 1h, period: 20ms, offset: 1h, drift: 0.1"},
	"ports":          {"ports: [8302]", "ports: [8300, 8302]", "ports: [8302], loss: 0.2"},
	"queue":          {"rate: 100000, queue: 20000"},
	"rate":           {"rate: 8000", "rate: 10000000", "rate: 100000, queue: 20000"},
	"reads":          {"reads: 7"},
	"wake":           {"wake: 10ms", "wake: 3s"},
	"reject":         {"reject: true, oneway: in", "reject: true, oneway: out", "reject: true"},
	"reorder":        {"reorder: 0.05", "reorder: 0.95", "reorder: 0.1, jitter: 30ms, scramble: true"},
	"scramble":       {"jitter: 4ms, scramble: true", "delay: 40ms, jitter: 30ms, scramble: true", "reorder: 0.1, jitter: 30ms, scramble: true"},
	"slow-io":        {"slow-io: 5ms", "slow-io: 20ms", "slow-io: 5s, slow-fsync: 5ms"},
	"slow-fsync":     {"slow-fsync: 5ms", "slow-fsync: 20ms", "slow-fsync: 5s", "full: true, slow-fsync: 50ms"},
	"strobe":         {"strobe: 10ms, period: 1ms", "strobe: -1h, period: 500ms"},
	"torn":           {"torn: true"},
}

// A draw needs no sample: it decides whom or what a step means, not whether that comes true.

// unmeasured are the options that nothing could be seen to lack, and why. What is here is not proved by any run.
var unmeasured = map[string]string{
	"below-majority": "permits, and does nothing by itself",
	"burst":          "other packets of the link come between those of a train and share its bursts, so their length does not show",
	"burst-loss in loss: 0.1, burst-loss: 0.1, burst: 4": "both show in datagrams that are lost",
	"loss in loss: 0.1, burst-loss: 0.1, burst: 4":       "both show in datagrams that are lost",
	"cycle":        "each cut and each heal is measured by itself, while it lasts; how long that is no probe is asked",
	"operations":   "the runner of the clients counts them, and the finding holds the count",
	"queue":        "a train that fills the queue would take the link from the cluster; what overflows is not told from loss",
	"reads":        "the clients of the run send them, and the history holds each; no probe is asked",
	"reject: true": "both ways the refusals are refused themselves, so nothing tells them from packets that vanish",
	"reorder in reorder: 0.1, jitter: 30ms, scramble: true":  "both show in datagrams that are overtaken",
	"scramble in reorder: 0.1, jitter: 30ms, scramble: true": "both show in datagrams that are overtaken",
	"wake": "it shows in the heal, which says how long another had led",
	"torn": "which of the last writes arrive is chance, and there may be none",
}

const crowd = "dc1-5c2x2" // a layout with client agents and spares

// crowdOf is where a schedule is played: crowd, with another datacenter beside it for a step that is about several.
func crowdOf(t *testing.T, s Schedule) topologies.Topology {
	topology := layout(t, crowd)
	if step := s.Steps[0]; step.Target.crosses() || step.DC != "" || step.Fault.Kind().Remote {
		topology.Datacenters = append(topology.Datacenters, topologies.Datacenter{Name: "dc2", Servers: topologies.Members{Count: 1}})
	}
	return topology
}

// step is the YAML of one step, from 1 s on for 10 s.
func stepOf(f Fault, target, more string) string {
	parts := []string{"at: 1s", "fault: " + f.Kind().Name}
	if !f.Kind().Momentary {
		parts = append(parts, "for: 10s")
	}
	if !strings.HasPrefix(target, "between: ") {
		target = "target: " + target
	}
	parts = append(parts, target)
	if more != "" {
		parts = append(parts, more)
	}
	return "steps:\n  - {" + strings.Join(parts, ", ") + "}\n"
}

// targetsOf are all that a fault takes, names too.
func targetsOf(f Fault) []string {
	if slices.Contains(f.Kind().Targets, Spare) {
		return append(slices.Clone(f.Kind().Targets), "[dc1-x1]")
	}
	words := append(slices.Clone(f.Kind().Targets), "[dc1-s2]")
	if i := slices.Index(words, Datacenter); i >= 0 {
		words[i] += ", dc: dc1"
	}
	if f.Kind().Remote {
		words[0] += ", dc: dc1"
	}
	if f.Kind().Between {
		words = append(words, "between: [dc1, dc2]")
	}
	return words
}

// marksPlayed are those of marksOf so far, by schedule.
var marksPlayed = map[string][2]history.FaultEvent{}

// marksOf plays a schedule on a cluster that does all that it is asked, and returns what the history then has of its
// first step: its start, and its heal. What it returns is shared by the tests, which play nothing twice.
func marksOf(t *testing.T, s Schedule) (start, heal history.FaultEvent) {
	t.Helper()
	if marks, ok := marksPlayed[s.String()]; ok {
		return marks[0], marks[1]
	}
	defer func() { marksPlayed[s.String()] = [2]history.FaultEvent{start, heal} }()
	sink := history.NewMemory()
	f := newFake(crowdOf(t, s))
	f.quick = true
	time.AfterFunc(300*time.Millisecond, func() { // somebody has led before, and somebody leads
		f.mu.Lock()
		defer f.mu.Unlock()
		f.elect("dc1", func(server string) bool { return server == "dc1-s2" })
	})
	_, err := Play(t.Context(), s, World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Burst: f.Burst, Forwarded: f.Forwarded, Log: sink})
	require.NoError(t, err)
	for _, e := range sink.Events() {
		m, err := history.ParseFaultEvent(e.Value)
		require.NoError(t, err)
		switch {
		case m.Step != 0 || !m.Done:
		case m.Stage == history.FaultStart:
			start = m
		case m.Stage == history.FaultHeal:
			heal = m
		}
	}
	return start, heal
}

// measuredOn is what is measured of a cluster that was asked for something, where something else is true.
func measuredOn(t *testing.T, on topologies.Topology, truth, asked, before faults.Conditions) *faults.Measurement {
	f := newFake(on)
	f.now, f.asked, f.sloth = truth, asked, 0
	for l, state := range before.Links {
		if state.Shaped() && !asked.Links[l].Shaped() {
			f.healing[l] = state
		}
	}
	m, err := f.Measure(t.Context())
	require.NoError(t, err)
	return &m
}

// unseen is evidence whose actions saw nothing, at this place or (-1) at any.
func unseen(e faults.Evidence, at int) faults.Evidence {
	e.Findings = slices.Clone(e.Findings)
	for i := range e.Findings {
		if i == at || at < 0 {
			e.Findings[i].Got, e.Findings[i].Count = nil, 0
		}
	}
	return e
}

// eachSample visits every fault with every target, and with every sample of every option.
func eachSample(t *testing.T, visit func(t *testing.T, f Fault, option, sample string, s Schedule)) {
	for _, f := range table {
		each := func(option, target, sample string) {
			s := parse(t, stepOf(f, target, sample))
			require.NoError(t, s.Check(crowdOf(t, s), everything))
			t.Run(strings.Join([]string{f.Kind().Name, option, target, sample}, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { visit(t, f, option, sample, s) })
			})
		}
		for _, target := range targetsOf(f) {
			each("", target, least[f.Kind().Name])
		}
		for _, option := range OptionNames(f) {
			require.NotEmpty(t, samples[option], "%s: option %s has no sample", f.Kind().Name, option)
			for _, sample := range samples[option] {
				if f.Kind().Name == "link" && option == "oneway" {
					sample += ", delay: 40ms"
				}
				each(option, targetsOf(f)[len(f.Kind().Targets)], sample)
			}
		}
	}
}

func TestWhatIsDoneIsProved(t *testing.T) {
	samples := 0
	eachSample(t, func(t *testing.T, f Fault, _, _ string, s Schedule) {
		samples++
		start, heal := marksOf(t, s)
		require.Empty(t, start.Evidence.Gaps())
		if !f.Kind().Momentary {
			require.Empty(t, heal.Evidence.Gaps())
		}
	})
	t.Logf("%d kinds of faults, %d samples of their targets and options", len(table), samples)
}

// Everything is acknowledged, nothing is done, and what is measured is a cluster in its best health. Nor is there
// anything that an action saw which could be left out.
func TestNothingIsProvedByNothing(t *testing.T) {
	eachSample(t, func(t *testing.T, f Fault, _, _ string, s Schedule) {
		start, heal := marksOf(t, s)
		nothing := unseen(*start.Evidence, -1)
		if nothing.Want != nil {
			nothing.Got = measuredOn(t, crowdOf(t, s), crowdOf(t, s).Baseline(), *nothing.Want, *nothing.Before)
		}
		require.NotEmpty(t, nothing.Gaps())
		unmeasured := *start.Evidence
		if unmeasured.Got = nil; unmeasured.Want != nil {
			require.Contains(t, unmeasured.Gaps(), "nothing was measured")
		}
		for _, m := range []history.FaultEvent{start, heal} {
			if m.Evidence == nil {
				continue // momentary faults have no heal
			}
			for i, finding := range m.Evidence.Findings {
				require.NotEmpty(t, unseen(*m.Evidence, i).Gaps(), "%s: %v could be left out", f.Kind().Name, finding)
			}
		}
	})
}

// All is done but for one option: as if the step had been written without it.
func TestNoOptionIsProvedByTheOthers(t *testing.T) {
	used := map[string]bool{}
	eachSample(t, func(t *testing.T, f Fault, option, sample string, s Schedule) {
		if option == "" {
			return
		}
		without := s.clone()
		without.Steps[0] = lacking(t, s.Steps[0], option)
		start, _ := marksOf(t, s)
		half := *start.Evidence
		if half.Want != nil && half.Want.Equal(sum(crowdOf(t, s), s.Steps)) {
			half.Got = measuredOn(t, crowdOf(t, s), sum(crowdOf(t, s), without.Steps), *half.Want, *half.Before)
		}
		for _, key := range []string{option, sample, option + " in " + sample} {
			if unmeasured[key] != "" {
				used[key] = true
				require.Empty(t, half.Gaps(), "%s is measured after all", key)
				return
			}
		}
		require.NotEmpty(t, half.Gaps())
	})
	for key := range unmeasured {
		require.True(t, used[key], "%s is no option", key)
	}
}

// lacking is a step without one of its fields.
func lacking(t *testing.T, s Step, name string) Step {
	var text yaml.Node
	require.NoError(t, text.Encode(s))
	i := slices.IndexFunc(text.Content, func(n *yaml.Node) bool { return n.Value == name })
	require.GreaterOrEqual(t, i, 0, "%s is not used", name)
	text.Content = slices.Delete(text.Content, i, i+2)
	step, wrong := readStep(&text)
	require.Empty(t, wrong)
	return step
}

// lasting are samples whose heal no probe can tell from a busy machine, and why. What is here is healed in name.
var lasting = map[string]string{
	"corrupt: 0.01":   "two of a hundred datagrams may be damaged without a fault",
	"duplicate: 0.01": "two of a hundred may arrive twice",
	"jitter: 4ms":     "a busy reader is later than that",
	"loss: 0.01":      "two of a hundred may find a full socket",
	"rate: 10000000":  "a train that the cluster can bear is through at once",
	"slow-io: 5ms":    "a disk of a machine may be as slow by itself",
	"slow-fsync: 5ms": "a disk of a machine may be as slow by itself",
}

// The fault is as asked, but its heal is acknowledged and nothing is taken back.
func TestNoHealIsProvedByNothing(t *testing.T) {
	used := map[string]bool{}
	eachSample(t, func(t *testing.T, f Fault, option, sample string, s Schedule) {
		if _, base := f.(baseliner); !base && s.Steps[0].alone(crowdOf(t, s)).Healthy() {
			return // there is nothing to take back
		}
		start, heal := marksOf(t, s)
		stuck := *heal.Evidence
		stuck.Got = measuredOn(t, crowdOf(t, s), *start.Evidence.Want, *stuck.Want, *start.Evidence.Want)
		if _, ok := lasting[sample]; ok {
			used[sample] = true
			require.Empty(t, stuck.Gaps(), "%s is seen to last after all", sample)
			return
		}
		require.NotEmpty(t, stuck.Gaps())
	})
	require.Len(t, used, len(lasting))
}

// The same in a run: a cluster that nods at everything and does nothing makes it unknown.
func TestARunInWhichNothingHappensIsUnknown(t *testing.T) {
	for _, f := range table {
		s := parse(t, stepOf(f, targetsOf(f)[0], least[f.Kind().Name]))
		synctest.Test(t, func(t *testing.T) {
			idle := newFake(crowdOf(t, s))
			idle.nods = true
			idle.obey = func(faults.Conditions) faults.Conditions { return idle.topology.Baseline() }
			requireDoubt(t, judged(t, idle, s), f.Kind().Name, "its effect was not verified")
		})
	}
}

// judged plays a schedule and has the run judged, as if it were all that there was.
func judged(t *testing.T, f *fake, s Schedule) checker.Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	require.NoError(t, err)
	for _, phase := range []string{`"faults"`, `"end"`} {
		if phase == `"end"` {
			_, err = Play(t.Context(), s, World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Burst: f.Burst, Forwarded: f.Forwarded, Log: log})
			require.NoError(t, err)
		}
		_, err = log.Add(history.Event{Process: history.Harness, Type: history.Info, F: history.FPhase, Value: []byte(phase)})
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	events, _, err := history.ReadFile(path)
	require.NoError(t, err)
	run := checker.Run{Topology: f.topology, Events: events, Settings: checker.Settings{PlannedFaults: len(s.Steps)}}
	run.Faults, run.Baseline, err = history.Faults(events)
	require.NoError(t, err)
	all := checker.All()
	return all[slices.IndexFunc(all, func(c checker.Checker) bool { return c.Name == "faults" })].Check(context.Background(), &run)
}

// requireDoubt demands that a run is unknown, for what a fault did not do.
func requireDoubt(t *testing.T, r checker.Result, fault, lacks string) {
	t.Helper()
	require.Equal(t, checker.Unknown, r.Verdict, r.Summary)
	require.True(t, slices.ContainsFunc(r.Reasons, func(reason string) bool {
		return strings.Contains(reason, "step 0, "+fault) && strings.Contains(reason, lacks)
	}), "%q", r.Reasons)
}

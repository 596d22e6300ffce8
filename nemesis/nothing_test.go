package nemesis

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"faultline/checker"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// The tests of this file ask of every fault, target and option whether a run could be valid in which it did not come
// true. A fault or an option that is new fails them until it has a sample here.

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
	"delay":          {"delay: 4ms", "delay: 2s", "delay: 40ms, jitter: 10ms, loss: 0.05", "delay: 10ms, jitter: 30ms, scramble: true", "rate: 8000, delay: 40ms"},
	"drift":          {"drift: 0.001", "drift: -0.001", "drift: 10", "drift: -0.9", "drift: 0.001, offset: 1h"},
	"duplicate":      {"duplicate: 0.01", "duplicate: 0.95"},
	"failing-fsync":  {"failing-fsync: true"},
	"failing-reads":  {"failing-reads: true"},
	"failing-writes": {"failing-writes: true"},
	"file":           {"file: raft/*"},
	"forward":        {"forward: 10ms", "forward: 1h", "forward: 20ms, monotonic: 0.001", "forward: 5s, monotonic: -0.05"},
	"full":           {"full: true", "full: true, slow-fsync: 50ms"},
	"jitter":         {"jitter: 4ms", "jitter: 2s", "delay: 40ms, jitter: 10ms, loss: 0.05"},
	"loss":           {"loss: 0.01", "loss: 0.95", "delay: 40ms, jitter: 10ms, loss: 0.05", "rate: 8000, loss: 0.2", "loss: 0.1, burst-loss: 0.1, burst: 4"},
	"lying-fsync":    {"lying-fsync: true", "lying-fsync: true, slow-fsync: 5ms"},
	"monotonic":      {"monotonic: 0.001", "monotonic: -0.001", "monotonic: 10", "monotonic: -0.9"},
	"names":          {"names: posix", "names: posix, torn: true"},
	"offset":         {"offset: 10ms", "offset: -10ms", "offset: 1h, drift: 0.1"},
	"oneway":         {"oneway: in", "oneway: out"},
	"period":         {"strobe: 10ms, period: 1ms", "strobe: -1h, period: 500ms", "strobe: 1h, period: 20ms, offset: 1h, drift: 0.1"},
	"queue":          {"rate: 100000, queue: 20000"},
	"rate":           {"rate: 8000", "rate: 10000000", "rate: 100000, queue: 20000"},
	"reads":          {"reads: 7"},
	"reject":         {"reject: true, oneway: in", "reject: true, oneway: out", "reject: true"},
	"reorder":        {"reorder: 0.05", "reorder: 0.95", "reorder: 0.1, jitter: 30ms, scramble: true"},
	"scramble":       {"jitter: 4ms, scramble: true", "delay: 40ms, jitter: 30ms, scramble: true", "reorder: 0.1, jitter: 30ms, scramble: true"},
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
	"queue":        "a train that fills the queue would take the link from the cluster; what overflows is not told from loss",
	"reads":        "the clients of the run send them, and the history holds each; no probe is asked",
	"reject: true": "both ways the refusals are refused themselves, so nothing tells them from packets that vanish",
	"reorder in reorder: 0.1, jitter: 30ms, scramble: true":  "both show in datagrams that are overtaken",
	"scramble in reorder: 0.1, jitter: 30ms, scramble: true": "both show in datagrams that are overtaken",
	"torn": "which of the last writes arrive is chance, and there may be none",
}

const crowd = "dc1-5c2x2" // a layout with client agents and spares

// step is the YAML of one step, from 1 s on for 10 s.
func stepOf(f Fault, target, more string) string {
	parts := []string{"at: 1s", "fault: " + f.Kind().Name}
	if !f.Kind().Momentary {
		parts = append(parts, "for: 10s")
	}
	parts = append(parts, "target: "+target)
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
	return append(slices.Clone(f.Kind().Targets), "[dc1-s2]")
}

// judged plays a schedule and has the run judged, as if it were all that there was.
func judged(t *testing.T, f *fake, s Schedule) checker.Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	require.NoError(t, err)
	for _, phase := range []string{`"faults"`, `"end"`} {
		if phase == `"end"` {
			_, err = Play(t.Context(), s, World{Topology: f.topology, Cluster: f, Client: f.Client, Leader: f.Leader, Burst: f.Burst, Log: log})
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

// eachSample visits every fault with every target, and with every sample of every option.
func eachSample(t *testing.T, visit func(t *testing.T, f Fault, option, sample string, s Schedule)) {
	topology := layout(t, crowd)
	for _, f := range table {
		each := func(option, target, sample string) {
			s := parse(t, stepOf(f, target, sample))
			require.NoError(t, s.Check(topology, everything))
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
	eachSample(t, func(t *testing.T, _ Fault, _, _ string, s Schedule) {
		r := judged(t, newFake(layout(t, crowd)), s)
		require.Equal(t, checker.Valid, r.Verdict, "%q", r.Reasons)
	})
}

// Everything is acknowledged, nothing is done, and what is measured is a cluster in its best health.
func TestNothingIsProvedByNothing(t *testing.T) {
	eachSample(t, func(t *testing.T, f Fault, _, _ string, s Schedule) {
		idle := newFake(layout(t, crowd))
		idle.nods = true
		idle.obey = func(faults.Conditions) faults.Conditions { return idle.topology.Baseline() }
		requireDoubt(t, judged(t, idle, s), f.Kind().Name, "its effect was not proved")
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
		half := newFake(layout(t, crowd))
		half.obey = func(want faults.Conditions) faults.Conditions {
			if want.Equal(sum(half.topology, s.Steps)) {
				return sum(half.topology, without.Steps)
			}
			return want
		}
		r := judged(t, half, s)
		for _, key := range []string{option, sample, option + " in " + sample} {
			if unmeasured[key] != "" {
				used[key] = true
				require.Equal(t, checker.Valid, r.Verdict, "%s is measured after all: %q", key, r.Reasons)
				return
			}
		}
		requireDoubt(t, r, f.Kind().Name, "its effect was not proved")
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
	"slow-fsync: 5ms": "a disk of a machine may be as slow by itself",
}

// The fault is as asked, but its heal is acknowledged and nothing is taken back.
func TestNoHealIsProvedByNothing(t *testing.T) {
	used := map[string]bool{}
	eachSample(t, func(t *testing.T, f Fault, option, sample string, s Schedule) {
		if _, base := f.(baseliner); !base && s.Steps[0].alone(layout(t, crowd)).Healthy() {
			return // there is nothing to take back
		}
		stuck := newFake(layout(t, crowd))
		begun := false
		stuck.obey = func(want faults.Conditions) faults.Conditions {
			if begun {
				return stuck.now
			}
			begun = true
			return want
		}
		r := judged(t, stuck, s)
		if _, ok := lasting[sample]; ok {
			used[sample] = true
			require.Equal(t, checker.Valid, r.Verdict, "%s is seen to last after all: %q", sample, r.Reasons)
			return
		}
		requireDoubt(t, r, f.Kind().Name, "its heal was not proved")
	})
	require.Len(t, used, len(lasting))
}

package checker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// seal ends a tape as a harness ends its history.
func (tp *tape) seal() *tape {
	sum := sha256.New()
	for i := range tp.events {
		sum.Write(tp.events[i].Append(nil))
	}
	value, err := json.Marshal(history.Seal{Events: int64(len(tp.events)), SHA256: hex.EncodeToString(sum.Sum(nil))})
	if err != nil {
		panic(err)
	}
	ms := int(tp.events[len(tp.events)-1].Time / 1e6)
	return tp.add(ms, history.Event{Process: history.Harness, Type: history.Info, F: history.FSeal, Value: value})
}

func threeServers() topologies.Topology {
	return topologies.Topology{Name: "three", Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"s1", "s2", "s3"}}}}}
}

func TestRecord(t *testing.T) {
	whole := func(tp *tape) *tape {
		return tp.phase(0, history.PhaseFaults).begin(1000, 0).heal(2000, 0).baseline(2100).
			phase(2200, history.PhaseQuiet).phase(3000, history.PhaseFinal).phase(3100, history.PhaseEnd)
	}
	for _, c := range []struct {
		name    string
		format  int
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"whole", 1, func(tp *tape) { whole(tp).seal() }, Valid, "sealed"},
		{"from before there were seals", 0, func(tp *tape) { whole(tp) }, Valid, "whether all of them are there could not be checked"},
		{"no seal", 1, func(tp *tape) { whole(tp) }, Unknown, "no seal at its end"},
		{"an event that was taken out", 1, func(tp *tape) {
			whole(tp).seal()
			tp.events = append(tp.events[:3], tp.events[4:]...)
		}, Unknown, "and has"},
		{"an old one with a seal that does not fit", 0, func(tp *tape) {
			whole(tp).seal()
			tp.events[1].F = "pause"
		}, Unknown, "something in it was changed"},
		{"interrupted", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(1000, history.PhaseInterrupt).phase(1000, history.PhaseQuiet).
				phase(2000, history.PhaseFinal).phase(2100, history.PhaseEnd).seal()
		}, Unknown, "interrupted after 1.000 s: what would have followed was not tried"},
		{"cut off", 1, func(tp *tape) { tp.phase(0, history.PhaseFaults).ok(1, 2, "read").seal() }, Unknown, cutOff},
		{"phases in another order", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(1, history.PhaseFinal).phase(2, history.PhaseQuiet).phase(3, history.PhaseEnd).seal()
		}, Unknown, "the phases of a run are"},
		{"an unknown phase", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(1, "nap").phase(3, history.PhaseEnd).seal()
		}, Unknown, "the phases of a run are"},
		{"a phase twice", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(1, history.PhaseQuiet).phase(2, history.PhaseFinal).phase(2, history.PhaseFinal).phase(3, history.PhaseEnd).seal()
		}, Unknown, "the phases of a run are"},
		{"a phase that is missing", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(1, history.PhaseQuiet).phase(3, history.PhaseEnd).seal()
		}, Unknown, "the run ended without its phase final"},
		{"no phases", 1, func(tp *tape) { tp.ok(1, 2, "read").seal() }, Unknown, cutOff},
		{"two ends", 1, func(tp *tape) { whole(tp).phase(3200, history.PhaseEnd).seal() }, Unknown, "comes after the end"},
		{"something after the end", 1, func(tp *tape) { whole(tp).ok(3200, 3201, "read").seal() }, Unknown, "comes after the end"},
		{"a node that the topology lacks", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).observe(1, "s9", history.Observation{})
			tp.phase(1, history.PhaseQuiet).phase(2, history.PhaseFinal).phase(3, history.PhaseEnd).seal()
		}, Unknown, `node "s9", which is none of the topology's`},
		{"what no harness writes", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).add(1, history.Event{Process: history.Observer, Type: history.Info, F: "guess"})
			tp.phase(1, history.PhaseQuiet).phase(2, history.PhaseFinal).phase(3, history.PhaseEnd).seal()
		}, Unknown, `no harness writes "guess"`},
		{"a lost cluster", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).lost(1500, "the pod of s1 has ended").seal()
		}, Unknown, "the cluster was lost at 1.500 s: the pod of s1 has ended"},
		{"a silence beside every fault", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(1000, 0).heal(2000, 0).ok(22000, 22001, "read").baseline(22100)
			tp.phase(22200, history.PhaseQuiet).phase(23000, history.PhaseFinal).phase(23100, history.PhaseEnd).seal()
		}, Valid, "sealed"},
		{"a silence during a fault", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(1000, 0).heal(21000, 0).baseline(21100)
			tp.phase(21200, history.PhaseQuiet).phase(22000, history.PhaseFinal).phase(22100, history.PhaseEnd).seal()
		}, Unknown, "the harness stood still from 1.000 s to 21.000 s, during step 0 (partition)"},
		{"a silence while it recovers", 1, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(1000, 0).heal(2000, 0).baseline(2100)
			tp.phase(2200, history.PhaseQuiet).phase(22000, history.PhaseFinal).phase(22100, history.PhaseEnd).seal()
		}, Unknown, "the harness stood still from 2.200 s to 22.000 s, while the cluster had to recover"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			run := &Run{Settings: Settings{Format: c.format}, Topology: threeServers(), Events: tp.events}
			var err error
			run.Faults, run.Baseline, err = history.Faults(tp.events)
			require.NoError(t, err)
			r := checkRecord(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

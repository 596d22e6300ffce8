package history

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func mark(t *testing.T, name Op, m FaultEvent) Event {
	value, err := json.Marshal(m)
	require.NoError(t, err)
	return Event{Process: Nemesis, Type: Info, F: name, Value: value}
}

func TestFaultsAreCollectedFromTheirMarks(t *testing.T) {
	targets := []string{"dc1-s2"}
	faults, baseline, err := Faults(script(
		Event{Process: Harness, Type: Info, F: FPhase},
		mark(t, "kill", FaultEvent{Step: 0, Stage: FaultStart, Lasts: true, Targets: []string{"leader"}, Asked: "leader killed"}),
		mark(t, "kill", FaultEvent{Step: 0, Stage: FaultStart, Done: true, Lasts: true, Targets: targets, Asked: "dc1-s2 killed", Measured: "dc1-s2 killed", Verified: true}),
		mark(t, "transfer", FaultEvent{Step: 1, Stage: FaultStart}),
		mark(t, "transfer", FaultEvent{Step: 1, Stage: FaultStart, Done: true, Measured: "dc1-s3 leads", Verified: true}),
		mark(t, "pause", FaultEvent{Step: 2, Stage: FaultStart, Lasts: true}),
		mark(t, "kill", FaultEvent{Step: 0, Stage: FaultHeal}),
		mark(t, "kill", FaultEvent{Step: 0, Stage: FaultHeal, Done: true, Measured: "dc1-s2 is killed", Error: "it did not start"}),
		mark(t, "baseline", FaultEvent{Step: -1, Stage: Baseline}),
		mark(t, "baseline", FaultEvent{Step: -1, Stage: Baseline, Done: true, Verified: true}),
	))
	require.NoError(t, err)
	require.Equal(t, []Fault{
		{Step: 0, Name: "kill", Targets: targets, Start: 10, Heal: 60, Healed: 70, Asked: "dc1-s2 killed", Measured: "dc1-s2 killed",
			Verified: true, HealMeasured: "dc1-s2 is killed", Error: "it did not start"},
		{Step: 1, Name: "transfer", Start: 30, Heal: 40, Healed: 40, Measured: "dc1-s3 leads", Verified: true, HealVerified: true, Momentary: true},
		{Step: 2, Name: "pause", Start: 50, Heal: Pending, Healed: Pending},
	}, faults)
	require.Equal(t, &FaultEvent{Step: -1, Stage: Baseline, Done: true, Verified: true}, baseline)
}

func TestTheFirstBaselineThatIsNotProvedCounts(t *testing.T) {
	for want, proved := range map[string][]bool{"b": {true, true}, "a": {false, true}, "B": {true, false}, "A": {false, false}} {
		var events []Event
		for i, ok := range proved {
			m := FaultEvent{Step: -1, Stage: Baseline, Done: true, Verified: ok, Measured: []string{"a", "b"}[i]}
			events = append(events, mark(t, []Op{FBaseline, FBaselineEnd}[i], m))
		}
		_, baseline, err := Faults(script(events...))
		require.NoError(t, err)
		require.Equal(t, strings.ToLower(want), baseline.Measured)
		require.Equal(t, proved[0] && proved[1], baseline.Verified)
	}
}

func TestARunWithoutBaselineSaysSo(t *testing.T) {
	faults, baseline, err := Faults(script(mark(t, "baseline", FaultEvent{Step: -1, Stage: Baseline})))
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Nil(t, baseline)
}

func TestFaultsRefusesWhatCannotBe(t *testing.T) {
	for want, e := range map[string]Event{
		"event 0: heal of step 4, which never started":  mark(t, "kill", FaultEvent{Step: 4, Stage: FaultHeal}),
		"event 0: start of step 4, which never started": mark(t, "kill", FaultEvent{Step: 4, Stage: FaultStart, Done: true}),
		`event 0: stage "middle"`:                       mark(t, "kill", FaultEvent{Stage: "middle"}),
		"event 0: unexpected end of JSON":               {Process: Nemesis, Type: Info, F: "kill"},
	} {
		_, _, err := Faults(script(e))
		require.ErrorContains(t, err, want)
	}
}

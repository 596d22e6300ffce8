package suite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/nemesis"
	"faultline/workloads/history"
)

const someSteps = `steps:
  - {at: 1s, for: 3s, fault: pause, target: primary}
  - {at: 3s, for: 3s, fault: kill, target: [dc1-s2]}
  - {at: 10s, for: 3s, fault: kill, target: one}
  - {at: 20s, fault: transfer}
`

func steps(t *testing.T) []nemesis.Step {
	s, err := nemesis.Parse("s.yaml", []byte(someSteps))
	require.NoError(t, err)
	return s.Steps
}

func TestKindsOfSteps(t *testing.T) {
	all := []Kind{{"pause", "primary", "overlapping"}, {"kill", "named", "overlapping"}, {"kill", "one", "alone"}, {"transfer", "primary", "alone"}}
	require.Equal(t, all, kinds(steps(t), time.Hour))
	require.Equal(t, all[:2], kinds(steps(t), 10*time.Second), "what began later has not shown anything")
}

func TestARunSaysNothingOfWhatItEndedBefore(t *testing.T) {
	require.Equal(t, []string{"kill", "clock"}, told([]string{"kill", "transfer", "clock"}, steps(t), []string{"kill", "pause"}))
}

func TestEffects(t *testing.T) {
	for effect, c := range map[string]nemesis.Contrast{
		"triggers":   {With: nemesis.Count{Runs: 20, Found: 15}, Without: nemesis.Count{Runs: 20, Found: 1}},
		"suppresses": {With: nemesis.Count{Runs: 20, Found: 1}, Without: nemesis.Count{Runs: 20, Found: 15}},
		"":           {With: nemesis.Count{Runs: 4, Found: 3}, Without: nemesis.Count{Runs: 4, Found: 1}},
	} {
		require.Equal(t, effect, Effect(c))
	}
	require.Empty(t, Effect(nemesis.Contrast{}))
}

func TestMedian(t *testing.T) {
	require.Zero(t, Median(nil))
	require.EqualValues(t, 2, Median([]time.Duration{9, 1, 2}))
	require.EqualValues(t, 2, Median([]time.Duration{9, 1, 2, 8}))
}

// A hunt counts what a run met until its violation, and of a run without one all of it.
func TestAHuntCounts(t *testing.T) {
	outcome := func(v checker.Verdict, violated time.Duration) faultline.Outcome {
		dir := t.TempDir()
		require.NoError(t, rundir.Write(dir, rundir.ScheduleFile, someSteps))
		o := faultline.Outcome{Dir: dir, Verdict: v, Report: report.Data{Length: time.Minute, Run: &checker.Run{
			Faults: []history.Fault{{Step: 0, Start: int64(6 * time.Second)}}}}} // so the schedule began at 5 s
		if v == checker.Invalid {
			o.Results = []checker.Result{{Counterexamples: []checker.Counterexample{
				{Ops: []history.Operation{{Return: int64(violated)}, {Return: 1}, {Return: history.Pending}}}, {Ops: []history.Operation{{Return: int64(time.Hour)}}}}}}
		}
		return o
	}
	h := Hunt{Families: []string{"kill", "pause", "transfer"}, Learned: nemesis.Learned{}}
	tally := Tally{ByKind: map[Kind]*nemesis.Count{}, Times: map[Kind][]time.Duration{}}
	require.NoError(t, h.count(&tally, outcome(checker.Valid, 0), time.Second))
	require.NoError(t, h.count(&tally, outcome(checker.Unknown, 0), 2*time.Second))
	first := outcome(checker.Invalid, 12*time.Second) // at 7 s of the schedule
	require.NoError(t, h.count(&tally, first, 3*time.Second))
	require.NoError(t, h.count(&tally, outcome(checker.Invalid, 30*time.Second), 4*time.Second))

	require.Equal(t, nemesis.Count{Runs: 4, Found: 2}, tally.All)
	require.Equal(t, 1, tally.Unknown)
	require.Equal(t, first.Dir, tally.First)
	require.Equal(t, 3*time.Second, tally.ToFirst)
	require.Equal(t, nemesis.Count{Runs: 4, Found: 2}, *tally.ByKind[Kind{"pause", "primary", "overlapping"}])
	require.Equal(t, nemesis.Count{Runs: 3, Found: 1}, *tally.ByKind[Kind{"kill", "one", "alone"}], "it began at 10 s of the schedule")
	require.Equal(t, nemesis.Count{Runs: 3, Found: 1}, *tally.ByKind[Kind{"transfer", "primary", "alone"}])
	require.Equal(t, []time.Duration{12 * time.Second, 30 * time.Second}, tally.Times[Kind{"pause", "primary", "overlapping"}])
	require.Equal(t, nemesis.Contrast{With: nemesis.Count{Runs: 3, Found: 1}}, h.Learned["transfer"], "the run that ended before says nothing of it")
	require.Equal(t, Kind{"kill", "named", "overlapping"}, tally.Kinds()[0])
}

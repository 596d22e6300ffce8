package faultline

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryShippedScenarioIsSound(t *testing.T) {
	for _, dir := range []string{"smoke", "nightly", "prove", "regress"} {
		suite, err := LoadSuite(filepath.Join("ci", dir))
		require.NoError(t, err)
		for _, s := range suite {
			t.Run(dir+"/"+s.Name, func(t *testing.T) {
				topology, err := s.topology()
				require.NoError(t, err)
				s = s.Drawn()
				schedule, err := MakeSchedule(s)
				require.NoError(t, err, "seed %d", s.Seed)
				require.NoError(t, schedule.Check(topology, AllCapabilities()), "seed %d", s.Seed)
				require.NoError(t, checkDefects(s.Defects))
				require.NotEmpty(t, s.Doc)
				require.NotEmpty(t, schedule.Steps, "a scenario without faults tests nothing here")
			})
		}
	}
}

func TestScenarioReadsBack(t *testing.T) {
	suite, err := LoadSuite("ci/smoke")
	require.NoError(t, err)
	for _, s := range suite {
		for _, s := range []Scenario{s, s.Defaults()} {
			again, err := ParseScenario("again.yaml", []byte(s.String()))
			require.NoError(t, err)
			require.Equal(t, s.String(), again.String())
		}
	}
}

func TestScenarioIsCalledAfterItsFileAndFindsItsFilesBesideIt(t *testing.T) {
	s, err := ParseScenario("some/where/slow-links.yaml", []byte("topology: ./mine.yaml\nschedule: s.yaml\n"))
	require.NoError(t, err)
	require.Equal(t, "slow-links", s.Name)
	require.Equal(t, "some/where/mine.yaml", s.Topology)
	require.Equal(t, "some/where/s.yaml", s.Schedule)
}

func TestScenarioMistakesAreUsageErrorsThatNameThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"ratee: 5\n":                          `s.yaml:1: unknown field "ratee"`,
		"rate: -5\n":                          "s.yaml: rate -5: want operations a second, at most 1000000",
		"mode: Eventual\n":                    `s.yaml: mode "Eventual": want a word, one of the system's read modes`,
		"time-limit: soon\n":                  "s.yaml:1: cannot unmarshal !!str `soon` into time.Duration",
		"nemesis: [kill]\nschedule: x.yaml\n": "s.yaml: nemesis, schedule and steps exclude each other: give one",
		"steps:\n  - {at: 1s, fualt: kill}\n": "s.yaml:2: unknown field \"fualt\"",
		"name: Bad Name\n":                    `s.yaml: name "Bad Name": want at most 61 lower-case letters, digits and dashes`,
	} {
		_, err := ParseScenario("s.yaml", []byte(text))
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*UsageError))
	}
	_, err := LoadScenario("no/such.yaml")
	require.ErrorAs(t, err, new(*UsageError))
	_, err = LoadSuite(t.TempDir())
	require.ErrorContains(t, err, "no scenario (*.yaml) in this directory")
}

func TestScheduleMustFitTheTimeLimit(t *testing.T) {
	s, err := ParseScenario("s.yaml", []byte("time-limit: 5s\nsteps:\n  - {at: 4s, for: 3s, fault: kill, target: one}\n"))
	require.NoError(t, err)
	_, err = MakeSchedule(s)
	require.ErrorContains(t, err, "ends 9s after the first operation, beyond its time-limit of 5s")
	require.ErrorAs(t, err, new(*UsageError))
}

func TestGeneratedSchedulesFitTheTimeLimitForManySeeds(t *testing.T) {
	for seed := range uint64(200) {
		s := Scenario{Nemesis: []string{"partition", "kill", "pause"}, Seed: seed, TimeLimit: 20 * time.Second}
		schedule, err := MakeSchedule(s)
		require.NoError(t, err)
		require.LessOrEqual(t, schedule.End()+warmUp, s.TimeLimit)
	}
}

func TestTwoScenariosOfOneNameAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a.yaml", "b.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f), []byte("name: same\n"), 0o644))
	}
	_, err := LoadSuite(dir)
	require.ErrorContains(t, err, "scenario name same is taken by")
}

func FuzzParseScenario(f *testing.F) {
	suite, err := LoadSuite("ci/smoke")
	require.NoError(f, err)
	for _, s := range suite {
		f.Add(s.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScenario("fuzz.yaml", []byte(text))
		if err != nil {
			return
		}
		again, err := ParseScenario("fuzz.yaml", []byte(s.String()))
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())
	})
}

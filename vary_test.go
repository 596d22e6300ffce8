package faultline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneFieldOfAScenarioIsGiven(t *testing.T) {
	s := Scenario{Name: "s", Rate: 7}.Defaults()
	for _, c := range []struct{ field, value string }{{"rate", "50"}, {"timeout", "2s"}, {"seed", "9"}, {"mode", "stale"}, {"hops", "true"}, {"topology", "dc1-5"}} {
		var err error
		s, err = s.With(c.field, c.value)
		require.NoError(t, err)
	}
	want := Scenario{Name: "s", Rate: 50, Timeout: 2 * time.Second, Seed: 9, Mode: "stale", Hops: true, Topology: "dc1-5"}.Defaults()
	require.Equal(t, want, s)
}

func TestFieldsThatAreNoneOrHoldSeveralValuesAreRefused(t *testing.T) {
	s := Scenario{Name: "s"}.Defaults()
	for given, want := range map[[2]string]string{
		{"ratee", "5"}:            `ratee:1: unknown field "ratee"`,
		{"rate", "many"}:          "rate:1: cannot unmarshal !!str `many` into float64",
		{"rate", "0"}:             "rate 0: want operations a second, at most 1000000",
		{"rate", ""}:              "rate=: want a field of a scenario and one value, such as rate=300",
		{"rate", "5\ntimeout: 2"}: "rate=5\ntimeout: 2: want a field of a scenario and one value, such as rate=300",
		{"nemesis", "kill"}:       "nemesis:1: cannot unmarshal !!str `kill` into []string",
		{"defects", "[x]"}:        "defects=[x]: want a field of a scenario and one value, such as rate=300",
		{"", "5"}:                 "=5: want a field of a scenario and one value, such as rate=300",
		{"settings", "5"}:         "settings:1: cannot unmarshal !!int `5` into map[string]interface {}",
	} {
		_, err := s.With(given[0], given[1])
		require.EqualError(t, err, want)
		require.ErrorAs(t, err, new(*UsageError))
	}
}

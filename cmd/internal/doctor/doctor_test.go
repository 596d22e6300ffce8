package doctor

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
)

// One runtime is enough, and what only some runs ask for is no reason to fail.
func TestDoctorFailsOverWhatEveryRunNeeds(t *testing.T) {
	lacks := errors.New("lacks")
	finding := func(need Need, err error) Finding { return Finding{Need: need, Err: err} }
	for _, c := range []struct {
		name     string
		findings []Finding
		failing  int
	}{
		{"all is there", []Finding{finding(EveryRun, nil), finding(AnyOf, nil), finding(AnyOf, nil)}, 0},
		{"one runtime of two", []Finding{finding(AnyOf, lacks), finding(AnyOf, nil)}, 0},
		{"the other one", []Finding{finding(AnyOf, nil), finding(AnyOf, lacks)}, 0},
		{"no runtime", []Finding{finding(EveryRun, nil), finding(AnyOf, lacks), finding(AnyOf, lacks)}, 2},
		{"what every run needs", []Finding{finding(EveryRun, lacks), finding(AnyOf, nil)}, 1},
		{"what some runs need", []Finding{finding(SomeRuns, lacks), finding(AnyOf, nil)}, 0},
		{"both", []Finding{finding(EveryRun, lacks), finding(AnyOf, lacks), finding(SomeRuns, lacks)}, 2},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.failing, Failing(c.findings)) })
	}
}

// A machine without any way to fake clocks still runs everything else.
func TestDoctorKnowsWhoNeedsWhat(t *testing.T) {
	needs := map[string]Need{}
	for _, f := range Examine(t.Context(), t.TempDir()) {
		needs[f.What] = f.Need
	}
	require.Equal(t, SomeRuns, needs["clocks"])
	for _, line := range faultline.Default().Runtimes {
		require.Equal(t, AnyOf, needs["runtime "+line.Name])
	}
	require.Equal(t, EveryRun, needs["processors"])
}

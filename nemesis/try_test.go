package nemesis

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
)

func TestTrialsAskForEveryCondition(t *testing.T) {
	pair, err := topologies.Parse("t", []byte("name: t\ndatacenters:\n  - {name: dc1, servers: 2}\n"))
	require.NoError(t, err)
	asked := map[faults.Capability]bool{}
	for _, step := range Trials(pair) {
		require.NoError(t, step.check(pair))
		for _, need := range step.alone(pair).Needs() {
			asked[need] = true
		}
	}
	for _, f := range table {
		for _, need := range f.Kind().Needs {
			require.True(t, asked[need], "no trial asks for %s, which %s needs", need, f.Kind().Name)
		}
	}
}

func TestTryProvesAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		layout := layout(t, "dc1-3")
		f := newFake(layout)
		for _, step := range Trials(layout) {
			if step.Name() == "link" {
				continue // the fake's links are whole or cut
			}
			trial := Try(t.Context(), step, World{Topology: layout, Cluster: f})
			require.NoError(t, trial.Err, step.Label())
			require.NotEmpty(t, trial.Asked)
			require.NotEmpty(t, trial.Measured)
			require.True(t, f.now.Healthy())
		}
		for takes, asked := range map[string]string{"journaled": "posix", "posix": "journaled"} {
			f.takes = takes
			require.ErrorContains(t, Try(t.Context(), Step{Fault: PowerLoss{Names: asked}, For: 1, Target: Names("dc1-s1")},
				World{Topology: layout, Cluster: f}).Err, "seen to take names by "+takes+", not "+asked)
		}
		f.immortal["dc1-s1"] = true
		require.ErrorContains(t, Try(t.Context(), Step{Fault: Kill{}, For: 1, Target: Names("dc1-s1")},
			World{Topology: layout, Cluster: f}).Err, "not measured: dc1-s1 is running, not killed")
	})
}

func TestTryRefusesWhatIsMoreThanConditions(t *testing.T) {
	layout := layout(t, "dc1-3")
	for _, step := range []Step{{Fault: Transfer{}, Target: Names("dc1-s1")}, {Fault: Leave{}, For: 1, Target: Names("dc1-s1")}} {
		require.ErrorContains(t, Try(t.Context(), step, World{Topology: layout}).Err, "is not tried by itself")
	}
	require.ErrorContains(t, Try(t.Context(), Step{}, World{Topology: layout}).Err, "fault is missing")
}

package topologies

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestBaseline(t *testing.T) {
	for name, want := range map[string]string{"dc1-3c2": "healthy", "dc1-3x2": "dc1-x1 absent, dc1-x2 absent"} {
		layout, err := Load(name)
		require.NoError(t, err)
		require.Equal(t, want, layout.Baseline().String())
	}
}

func TestBaselineHasTheLinksOfTheTopology(t *testing.T) {
	layout, err := Load("dc1-5far")
	require.NoError(t, err)
	require.NoError(t, layout.CheckLinks())
	base := layout.Baseline()
	require.Len(t, base.Links, 12, "three near servers and two far ones, both ways")
	far := base.Links[faults.Pair{From: "dc1-s1", To: "dc1-s4"}]
	require.Equal(t, "loss 0.01, delay 20ms, jitter 5ms", far.String())
	require.NotEqual(t, far.Seed, base.Links[faults.Pair{From: "dc1-s4", To: "dc1-s1"}].Seed)
	require.Zero(t, base.Links[faults.Pair{From: "dc1-s4", To: "dc1-s5"}])
	require.Equal(t, []faults.Capability{faults.LinkDelay, faults.LinkLoss}, base.Needs())

	layout.Links[1].Loss = 0.001
	require.EqualError(t, layout.CheckLinks(), "link 1 of topology dc1-5far: loss is 0.001: want a share of packets from 0.01 to 0.95")
}

package nodes

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
)

func TestBaseline(t *testing.T) {
	for name, want := range map[string]string{"dc1-3c2": "healthy", "dc1-3x2": "dc1-x1 absent, dc1-x2 absent"} {
		layout, err := topologies.Load(name)
		require.NoError(t, err)
		require.Equal(t, want, Baseline(layout).String())
	}
}

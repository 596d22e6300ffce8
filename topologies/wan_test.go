package topologies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

const threeRegions = `
name: three
datacenters:
  - {name: east, servers: 2}
  - {name: west, servers: 1}
  - {name: far, servers: 1}
links:
  - {between: [east, west], delay: 40ms}
  - {between: [west-s1, east-s1], oneway: true, delay: 90ms}
  - {between: [east, east], delay: 5ms}
`

func TestWithWANEditsAllLinksBetweenDatacenters(t *testing.T) {
	layout, err := Parse("t.yaml", []byte(threeRegions))
	require.NoError(t, err)
	before := layout.String()
	lossy := layout.WithWAN(func(l *faults.Link) { l.Loss = 0.05 })
	require.Equal(t, before, layout.String())
	require.NoError(t, lossy.checkLinks())
	for _, from := range layout.Nodes() {
		for _, to := range layout.Nodes() {
			want := layout.Link(from, to)
			if from.DC != to.DC {
				want.Loss = 0.05
			}
			require.Equal(t, want, lossy.Link(from, to), "%s>%s", from.Name, to.Name)
		}
	}
	again, err := Parse("again", []byte(lossy.String()))
	require.NoError(t, err)
	require.Equal(t, lossy, again)
	require.Equal(t, lossy.Baseline(), lossy.WithWAN(func(*faults.Link) {}).Baseline())
}

func TestInIsOneDatacenter(t *testing.T) {
	layout, err := Parse("t.yaml", []byte(threeRegions))
	require.NoError(t, err)
	east := layout.In("east")
	require.Equal(t, []Node{{"east-s1", "east", Server}, {"east-s2", "east", Server}}, east.Nodes())
	require.Len(t, east.Links, 1)
	require.Equal(t, 5*time.Millisecond, east.Link(east.Nodes()[0], east.Nodes()[1]).Delay)
	require.Equal(t, layout, layout.In(""))
	require.Equal(t, []string{"east", "west", "far"}, layout.DatacenterNames())
}

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

func TestProfilesAreWhatEntriesBuildOn(t *testing.T) {
	layout, err := Parse("t.yaml", []byte(`
name: t
datacenters:
  - {name: a, servers: 1}
  - {name: b, servers: 1}
  - {name: c, servers: 1}
links:
  - {between: [a, b], profile: lossy-3g, loss: 0, delay: 90ms}
  - {between: [a, c], rtt-of: [west-europe, east-us], jitter: 5ms}
  - {between: [b, c], rtt-of: [east-us, west-europe], profile: lossy-3g}
`))
	require.NoError(t, err)
	nodes := layout.Nodes()
	ms := time.Millisecond
	require.Equal(t, faults.Link{Delay: 90 * ms, Jitter: 40 * ms, Rate: 96_000}, layout.Link(nodes[0], nodes[1]))
	require.Equal(t, faults.Link{Delay: 45500 * time.Microsecond, Jitter: 5 * ms}, layout.Link(nodes[2], nodes[0]))
	require.Equal(t, faults.Link{Delay: 45500 * time.Microsecond, Jitter: 40 * ms, Rate: 96_000, Loss: 0.05}, layout.Link(nodes[1], nodes[2]))
	require.Contains(t, layout.String(), "profile: lossy-3g\n    loss: 0\n    delay: 90ms\n")
	again, err := Parse("again", []byte(layout.String()))
	require.NoError(t, err)
	require.Equal(t, layout, again)
}

// Every profile can be told from a perfect link, and so can every time between two regions.
func TestProfilesAndRegionsCanBeMeasured(t *testing.T) {
	for i, p := range Profiles() {
		require.NoError(t, p.Link.Check(), p.Name)
		require.True(t, i == 0 || profiles[i-1].Name < p.Name, "sorted")
	}
	seen := map[string]bool{}
	for _, row := range regionRows() {
		rtt, ok := rttOf(row[1], row[0])
		require.True(t, ok)
		require.NoError(t, faults.Link{Delay: rtt / 2}.Check(), "%v", row)
		require.False(t, seen[row[0]+row[1]] || seen[row[1]+row[0]], "%v stands twice", row)
		seen[row[0]+row[1]] = true
	}
	require.Len(t, seen, 54)
}

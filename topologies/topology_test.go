package topologies

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestEmbeddedLayoutsLoadAndReadBack(t *testing.T) {
	require.Contains(t, Names(), "dc1-3")
	for _, name := range Names() {
		layout, err := Load(name)
		require.NoError(t, err)
		require.Equal(t, name, layout.Name)
		again, err := Parse("again", []byte(layout.String()))
		require.NoError(t, err)
		require.Equal(t, layout, again)
	}
}

func TestNodesAreServersThenClientsByDatacenter(t *testing.T) {
	layout, err := Parse("t.yaml", []byte(`
name: two
datacenters:
  - name: east
    servers: 1
    clients: 2
  - name: west
    servers: [w-one, w-two, w-three]
`))
	require.NoError(t, err)
	var names []string
	for _, n := range layout.Nodes() {
		names = append(names, n.Name+"/"+string(n.Role))
	}
	require.Equal(t, []string{"east-s1/server", "east-c1/client", "east-c2/client",
		"w-one/server", "w-two/server", "w-three/server"}, names)
	require.Len(t, layout.Servers(), 4)
	n, ok := layout.Node("w-two")
	require.True(t, ok)
	require.Equal(t, Node{Name: "w-two", DC: "west", Role: Server}, n)
	_, ok = layout.Node("nobody")
	require.False(t, ok)
}

func TestSparesComeLastAndDoNotVote(t *testing.T) {
	layout, err := Load("dc1-3x2")
	require.NoError(t, err)
	names := func(nodes []Node) (names []string) {
		for _, n := range nodes {
			names = append(names, n.Name)
		}
		return names
	}
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3", "dc1-x1", "dc1-x2"}, names(layout.Nodes()))
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3"}, names(layout.Servers()))
	require.Equal(t, names(layout.Servers()), names(layout.Started()))
	require.Equal(t, []string{"dc1-x1", "dc1-x2"}, names(layout.Spares()))
	named, err := Parse("t.yaml", []byte("name: t\ndatacenters:\n  - {name: a, servers: 1, clients: 1, spares: [late]}\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"a-s1", "a-c1"}, names(named.Started()))
	n, ok := named.Node("late")
	require.True(t, ok)
	require.Equal(t, Node{Name: "late", DC: "a", Role: Spare}, n)
}

func TestMistakesAreNamedWithFileAndLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":  {"name: x\ndatacenters:\n  - name: a\n    servers: 3\n    sevrers: 2\n", `t.yaml:5: unknown field "sevrers"`},
		"not a count":    {"name: x\ndatacenters:\n  - name: a\n    servers: three\n", `t.yaml:4: want a count or a list of names, not "three"`},
		"negative count": {"name: x\ndatacenters:\n  - name: a\n    servers: -1\n", `t.yaml:4: a count from 0 to 64, not -1`},
		"twice":          {"name: x\nname: y\n", `t.yaml:2: field "name" stands twice, first at line 1`},
		"empty":          {"", "t.yaml: the file is empty"},
		"two documents":  {"name: x\n---\nname: y\n", "t.yaml:2: a second YAML document; one file holds one"},
		"syntax":         {"name: [x\n", "t.yaml:1: did not find expected ',' or ']'"},
		"no datacenter":  {"name: x\n", "t.yaml: topology x has no datacenters"},
		"no servers":     {"name: x\ndatacenters:\n  - {name: a, servers: 0}\n", "t.yaml: datacenter a has no servers; it needs 1, 3 or 5"},
		"same node":      {"name: x\ndatacenters:\n  - {name: a, servers: [n]}\n  - {name: b, servers: [n]}\n", "t.yaml: node n stands twice, in datacenters a and b"},
		"same dc":        {"name: x\ndatacenters:\n  - {name: a, servers: 1}\n  - {name: a, servers: 1}\n", "t.yaml: datacenter a stands twice in topology x"},
		"bad name":       {"name: x\ndatacenters:\n  - {name: a, servers: [N_1]}\n", `t.yaml: node name "N_1": want at most 40 lower-case letters, digits and dashes`},
		"link to nobody": {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a, b], delay: 5ms}\n", `t.yaml: link 0 of topology x: no datacenter or node "b"`},
		"link of one":    {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a]}\n", "t.yaml: link 0 of topology x: between takes two names of datacenters or nodes, such as [dc1, dc2]"},
		"no number":      {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a, a], loss: .nan}\n", "t.yaml: link 0 of topology x: loss, burst-loss and burst are numbers"},
		"link's field":   {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a, a], dely: 5ms}\n", `t.yaml:5: unknown field "dely"`},
		"no entry":       {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  -\n", "t.yaml:5: an entry of links looks like {between: [dc1, dc2], delay: 40ms}"},
		"no list":        {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks: 3\n", "t.yaml:4: links: want a list of entries such as {between: [dc1, dc2], delay: 40ms}"},
		"no profile":     {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a, a], profile: wan}\n", `t.yaml:5: no profile "wan" of links; there are lossy-3g, same-continent, satellite, transatlantic, transpacific`},
		"one region":     {"name: x\ndatacenters:\n  - {name: a, servers: 1}\nlinks:\n  - {between: [a, a], rtt-of: [east-us]}\n", "t.yaml:5: rtt-of takes two regions, such as [east-us, west-europe]"},
		"node as dc":     {"name: x\ndatacenters:\n  - {name: a, servers: [b]}\n  - {name: b, servers: 1}\n", "t.yaml: node b of datacenter a has the name of a datacenter"},
		"too many":       {"name: x\ndatacenters:\n  - {name: a, servers: 63, clients: 2}\n", "t.yaml: topology x has 65 nodes; the most is 64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(c.text))
			require.EqualError(t, err, c.want)
		})
	}
}

func TestTheLastLinkThatFitsCounts(t *testing.T) {
	layout, err := Parse("t.yaml", []byte(`
name: three
datacenters:
  - {name: east, servers: 2, clients: 1}
  - {name: west, servers: 1}
links:
  - {between: [east, west], delay: 40ms, loss: 0.01}
  - {between: [west, east-s1], oneway: true, delay: 90ms, rate: 100000, queue: 5000}
  - {between: [east, east], delay: 5ms, jitter: 4ms}
  - {between: [east-s1, east-s2]}
`))
	require.NoError(t, err)
	path := func(from, to string) faults.Link {
		a, ok := layout.Node(from)
		require.True(t, ok)
		b, ok := layout.Node(to)
		require.True(t, ok)
		return layout.Link(a, b)
	}
	wan, back := faults.Link{Delay: 40 * time.Millisecond, Loss: 0.01}, faults.Link{Delay: 90 * time.Millisecond, Rate: 100_000, Queue: 5000}
	near := faults.Link{Delay: 5 * time.Millisecond, Jitter: 4 * time.Millisecond}
	require.Equal(t, wan, path("east-s2", "west-s1"))
	require.Equal(t, wan, path("west-s1", "east-s2"))
	require.Equal(t, wan, path("east-s1", "west-s1"))
	require.Equal(t, back, path("west-s1", "east-s1"))
	require.Equal(t, near, path("east-c1", "east-s1"))
	require.Equal(t, faults.Link{}, path("east-s1", "east-s2"))
	require.Equal(t, faults.Link{}, path("east-s2", "east-s1"))
}

func TestEvenServerCountsAreWarnedAbout(t *testing.T) {
	layout, err := Parse("t.yaml", []byte("name: x\ndatacenters:\n  - {name: a, servers: 4}\n"))
	require.NoError(t, err)
	warnings, err := layout.Validate()
	require.NoError(t, err)
	require.Equal(t, []string{"datacenter a has 4 servers: an even count survives no more failures than 3 do"}, warnings)
}

func TestLoadTellsLayoutsFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(path, []byte("name: mine\ndatacenters:\n  - {name: a, servers: 1}\n"), 0o644))
	mine, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, "mine", mine.Name)
	_, err = Load("dc9")
	require.ErrorContains(t, err, `no topology "dc9"; there are dc1-3, `)
	_, err = Load("./none.yaml")
	require.ErrorContains(t, err, "no such file")
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		layout, err := Load(name)
		require.NoError(f, err)
		f.Add(layout.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		layout, err := Parse("fuzz", []byte(text))
		if err != nil {
			return
		}
		again, err := Parse("fuzz", []byte(layout.String()))
		require.NoError(t, err)
		require.Equal(t, layout, again)
	})
}

// Package topologies says what a cluster looks like: its datacenters and the nodes in
// them. A Topology is a plain value, read from YAML:
//
//	name: dc1-3c2
//	datacenters:
//	  - name: dc1
//	    servers: 3        # or a list of names
//	    clients: 2
//	    spares: 1         # servers that are not started with the cluster
//	links:                # what links are like when nothing is broken
//	  - {between: [dc1, dc1], delay: 5ms}
//	  - {between: [dc1, dc2], profile: transatlantic}    # see Profiles
//
// Nodes are named DATACENTER-s1, DATACENTER-s2 …, DATACENTER-c1 … and DATACENTER-x1 …
// unless the file names them. Layouts that ship with Faultline are embedded; see Names.
//
// It is not for where nodes run (package nodes) nor for what is done to them (package
// nemesis).
package topologies

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"faultline/topologies/strict"
)

// Role is what a node does in its datacenter.
type Role string

const (
	Server Role = "server" // votes in Raft and keeps data
	Client Role = "client" // only forwards to servers
	// Spare is a server that is not there at the beginning and belongs to no count of
	// votes, until a fault lets it join.
	Spare Role = "spare"
)

// Node is one member of a cluster.
type Node struct {
	Name string `json:"name"`
	DC   string `json:"dc"`
	Role Role   `json:"role"`
}

// Topology is the shape of a cluster. The order of its nodes is part of it.
type Topology struct {
	Name        string       `yaml:"name"`
	Datacenters []Datacenter `yaml:"datacenters"`
	Links       Links        `yaml:"links,omitempty"`
}

// Datacenter is one Raft peer set and one LAN gossip pool.
type Datacenter struct {
	Name    string  `yaml:"name"`
	Servers Members `yaml:"servers"`
	Clients Members `yaml:"clients,omitempty"`
	Spares  Members `yaml:"spares,omitempty"`
}

// Members is a list of node names; in YAML it is either such a list or a count, for
// which names are made.
type Members struct {
	Count int
	Names []string
}

// MaxNodes bounds a topology: more nodes than this on one machine measure the machine.
const MaxNodes = 64

// Nodes lists every node: by datacenter, servers before clients before spares.
func (t Topology) Nodes() []Node {
	var all []Node
	for _, dc := range t.Datacenters {
		for _, name := range dc.Servers.list(dc.Name + "-s") {
			all = append(all, Node{Name: name, DC: dc.Name, Role: Server})
		}
		for _, name := range dc.Clients.list(dc.Name + "-c") {
			all = append(all, Node{Name: name, DC: dc.Name, Role: Client})
		}
		for _, name := range dc.Spares.list(dc.Name + "-x") {
			all = append(all, Node{Name: name, DC: dc.Name, Role: Spare})
		}
	}
	return all
}

// Servers lists the nodes that vote from the beginning, in the order of Nodes.
func (t Topology) Servers() []Node { return t.in(Server) }

// Spares lists the servers that are not started with the cluster, in the order of Nodes.
func (t Topology) Spares() []Node { return t.in(Spare) }

// Started lists the nodes that are there from the beginning, in the order of Nodes.
func (t Topology) Started() []Node { return t.in(Server, Client) }

func (t Topology) in(roles ...Role) []Node {
	return slices.DeleteFunc(t.Nodes(), func(n Node) bool { return !slices.Contains(roles, n.Role) })
}

// Node finds a node by name.
func (t Topology) Node(name string) (Node, bool) {
	all := t.Nodes()
	i := slices.IndexFunc(all, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return all[i], true
}

// String is the YAML form; Parse reads it back to an equal value.
func (t Topology) String() string {
	text, err := strict.Encode(t)
	if err != nil {
		return fmt.Sprintf("# topology %q does not encode: %v\n", t.Name, err)
	}
	return text
}

var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Validate refuses what cannot be started and warns about what is unwise.
func (t Topology) Validate() (warnings []string, err error) {
	if !nodeName.MatchString(t.Name) {
		return nil, fmt.Errorf("topology name %q: want lower-case letters, digits and dashes", t.Name)
	}
	if len(t.Datacenters) == 0 {
		return nil, fmt.Errorf("topology %s has no datacenters", t.Name)
	}
	seen := map[string]string{}
	for _, dc := range t.Datacenters {
		if !nodeName.MatchString(dc.Name) {
			return nil, fmt.Errorf("datacenter name %q: want lower-case letters, digits and dashes", dc.Name)
		}
		if seen["dc "+dc.Name] != "" {
			return nil, fmt.Errorf("datacenter %s stands twice in topology %s", dc.Name, t.Name)
		}
		seen["dc "+dc.Name] = dc.Name
		servers := dc.Servers.size()
		switch {
		case servers < 1:
			return nil, fmt.Errorf("datacenter %s has no servers; it needs 1, 3 or 5", dc.Name)
		case servers%2 == 0:
			warnings = append(warnings, fmt.Sprintf(
				"datacenter %s has %d servers: an even count survives no more failures than %d do",
				dc.Name, servers, servers-1))
		}
	}
	nodes := t.Nodes()
	for _, n := range nodes {
		if !nodeName.MatchString(n.Name) {
			return nil, fmt.Errorf("node name %q: want at most 40 lower-case letters, digits and dashes", n.Name)
		}
		if dc := seen["node "+n.Name]; dc != "" {
			return nil, fmt.Errorf("node %s stands twice, in datacenters %s and %s", n.Name, dc, n.DC)
		}
		if seen["dc "+n.Name] != "" && len(t.Datacenters) > 1 {
			return nil, fmt.Errorf("node %s of datacenter %s has the name of a datacenter", n.Name, n.DC)
		}
		seen["node "+n.Name] = n.DC
	}
	if len(nodes) > MaxNodes {
		return nil, fmt.Errorf("topology %s has %d nodes; the most is %d", t.Name, len(nodes), MaxNodes)
	}
	return warnings, t.checkLinks()
}

// Parse reads and validates a topology. file is only used in error texts.
func Parse(file string, data []byte) (Topology, error) {
	var t Topology
	if err := strict.Decode(file, data, &t); err != nil {
		return Topology{}, err
	}
	if _, err := t.Validate(); err != nil {
		return Topology{}, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

//go:embed layouts/*.yaml
var layouts embed.FS

// Names lists the embedded layouts, sorted.
func Names() []string {
	files, err := fs.Glob(layouts, "layouts/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "layouts/"), ".yaml")
	}
	return files
}

// Load reads an embedded layout by name, or a file by path (a name with a slash or a
// dot in it).
func Load(nameOrPath string) (Topology, error) {
	if strings.ContainsAny(nameOrPath, "/.") {
		data, err := strict.ReadFile(nameOrPath)
		if err != nil {
			return Topology{}, fmt.Errorf("topology: %w", err)
		}
		return Parse(nameOrPath, data)
	}
	data, err := layouts.ReadFile("layouts/" + nameOrPath + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return Topology{}, fmt.Errorf("no topology %q; there are %s, or give the path of a file",
			nameOrPath, strings.Join(Names(), ", "))
	}
	if err != nil {
		return Topology{}, err
	}
	return Parse("topologies/layouts/"+nameOrPath+".yaml", data)
}

func (m Members) size() int {
	if m.Names != nil {
		return len(m.Names)
	}
	return m.Count
}

func (m Members) list(prefix string) []string {
	if m.Names != nil {
		return m.Names
	}
	names := make([]string, 0, m.Count)
	for i := range m.Count {
		names = append(names, fmt.Sprintf("%s%d", prefix, i+1))
	}
	return names
}

// IsZero lets YAML leave out a role that no node has.
func (m Members) IsZero() bool { return m.size() == 0 }

func (m *Members) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		m.Names = []string{}
		return node.Decode(&m.Names)
	}
	if err := node.Decode(&m.Count); err != nil {
		return strict.At(node, "want a count or a list of names, not %q", node.Value)
	}
	if m.Count < 0 || m.Count > MaxNodes {
		return strict.At(node, "a count from 0 to %d, not %d", MaxNodes, m.Count)
	}
	return nil
}

func (m Members) MarshalYAML() (any, error) {
	if m.Names != nil {
		return m.Names, nil
	}
	return m.Count, nil
}

package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// System is what is under test: what a node of it needs, how it is started, and how it is
// asked. One value serves one run.
type System interface {
	// Name as in scenario files.
	Name() string
	// Facts is what it can be asked for. It is always the same.
	Facts() Facts
	// Image makes sure that what its nodes execute exists on this machine, and says what that is.
	Image(ctx context.Context) (Image, error)
	// Launch says how a node's process is started. It is asked before every start, and may do
	// what the start takes in the rest of the cluster: a new member may have to be announced.
	// The node starts once it returns; an error keeps it from that.
	Launch(ctx context.Context, s Start) (Launch, error)
	// Open makes a client of a node. It does not connect yet.
	Open(at Endpoint) Conn
}

// Facts are what can be asked of a system. Scenarios that ask for more are refused before
// anything starts; checkers that need more are not applicable.
type Facts struct {
	Port  int          // TCP, on which a node answers clients
	Ops   []history.Op // that its Conn can Do
	Modes []Mode       // of reads, the first is meant by default
	// OwnCopy is the one of them in which a server answers from what it holds itself, however old that
	// is; empty if there is none.
	OwnCopy history.Mode
	// Abilities is what its Conn can do beside.
	Abilities []history.Ability
	// ExitsUnjoined: a node that starts to join ends by itself if it reaches no member. It is started again.
	ExitsUnjoined bool
	// MemberChange is how long a cluster with which nothing is wrong may take to let a server join.
	MemberChange time.Duration
	// Logs and Snapshots are the files of a node's data directory, as patterns of package path, that the node checks when
	// it starts: damage to them ends it, or is mended from the others. There are Snapshots only once it has taken one.
	Logs, Snapshots []string
	// Gossip and RPC are the ports of a node to which others send gossip, and their calls; empty if it has none for that alone.
	Gossip, RPC faults.Ports
}

// Mode is one way to read.
type Mode struct {
	Name history.Mode
	Doc  string // what such a read promises, in a sentence
}

// Can reports whether the facts have an ability.
func (f Facts) Can(a history.Ability) bool { return slices.Contains(f.Abilities, a) }

// Image is what the pods of a system hold, beside what [Launch] adds at each start.
type Image struct {
	// Program is the node's program: a file of this machine, for Linux. It is in every pod at
	// the path NodePath of package nodes/injector, which is what an empty Launch.Program means.
	Program string
	// Files are more files and directories of this machine, absolute; they are in every pod at the same
	// paths, for reading. What a program is linked with dynamically is there by itself.
	Files []string
}

// StartKind is what a node finds when it starts.
type StartKind string

const (
	Founder StartKind = "founder" // the first start of a node that the cluster begins with
	Again   StartKind = "again"   // a later one, with the disk of the last
	Fresh   StartKind = "fresh"   // of a new machine with an empty disk, in the place of one that is gone
	Joiner  StartKind = "joiner"  // of a spare, with an empty disk: it is to join
)

// Start is one start of a node's process.
type Start struct {
	Kind StartKind
	Self NodeInfo
	All  []NodeInfo // every node of the cluster, Self included
	// Endpoint is how the API of any node is reached.
	Endpoint func(node string) Endpoint
}

// NodeInfo is where a node lives, as it sees itself.
type NodeInfo struct {
	topologies.Node
	Addr netip.Addr
	Dir  string // its data directory, which outlives its process
}

// Launch is how one process of a node is started.
type Launch struct {
	Program string            `json:"program,omitempty"` // path in the pod; empty: that of Image.Program
	Args    []string          `json:"args,omitempty"`    // without the program's name
	Env     []string          `json:"env,omitempty"`     // NAME=value, beside PATH, HOME and HOSTNAME
	Files   map[string]string `json:"files,omitempty"`   // written before the start: absolute path, outside of the data directory, and content
}

// Check refuses a launch that no pod could carry out.
func (l Launch) Check() error {
	if l.Program != "" && !path.IsAbs(l.Program) {
		return fmt.Errorf("the program %q of a launch is no absolute path", l.Program)
	}
	for name := range l.Files {
		if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
			return fmt.Errorf("the file %q of a launch is no absolute path", name)
		}
	}
	for _, e := range l.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("%q in the environment of a launch is not NAME=value", e)
		}
	}
	if slices.ContainsFunc(append(slices.Clone(l.Args), l.Env...), func(s string) bool { return strings.ContainsRune(s, 0) }) {
		return errors.New("an argument or a variable of a launch has a zero byte")
	}
	return nil
}

// Args is a Launch of the image's program with arguments.
func Args(args ...string) Launch { return Launch{Args: args} }

// Package etcd starts and asks a real etcd, 3.4 or later: the binary that the user has.
//
//	system := etcd.New(etcd.Options{Binary: "/usr/bin/etcd"})
//	conn := system.Open(nodes.TCP("127.0.0.1:2379"))
//	answer, err := conn.Do(ctx, nodes.Op{F: history.OpRead, Key: "k1"})
//	if nodes.CodeOf(err).Definite() { … }
//
// Clients speak the JSON gateway of etcd's API, so that nothing here repeats a request as etcd's own
// Go client does. Keys, compare-and-set and leases are etcd's:
//
//	index of a key        its mod_revision; 0 is absent
//	session               a lease; its TTL is whole seconds, and rounded up
//	lock                  a key with the lease of its holder; free if it has none or is absent
//	fencing token         the revision of the put that took, or gave back, the lock
//
// A member that comes back with an empty disk, or after it left, is somebody new to etcd: [System.Launch]
// announces it to the others and starts it with a data directory of its own.
//
// It is not a general client of etcd; that is go.etcd.io/etcd/client/v3.
package etcd

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// Options are the settings of a scenario for this system.
type Options struct {
	// Binary is a path, or a name that is looked for in PATH; empty: etcd.
	Binary string `yaml:"binary,omitempty"`
	// Heartbeat and Election are etcd's --heartbeat-interval and --election-timeout; 0 for the
	// defaults here, which are half of etcd's own.
	Heartbeat time.Duration `yaml:"heartbeat,omitempty"`
	Election  time.Duration `yaml:"election,omitempty"`
	// SnapshotCount is etcd's --snapshot-count; 0 for its default.
	SnapshotCount int `yaml:"snapshot-count,omitempty"`
	// Flags are more arguments for every node.
	Flags []string `yaml:"flags,omitempty"`
}

const (
	defaultBinary    = "etcd"
	defaultHeartbeat = 50 * time.Millisecond
	defaultElection  = 500 * time.Millisecond
	leastElection    = 5                // heartbeats: embed/config.go, Validate
	mostElection     = 50 * time.Second // the same
)

const (
	clientPort = 2379
	peerPort   = 2380
)

// ModeSerializable is a read that a node answers from its own data.
const ModeSerializable history.Mode = "serializable"

// modeLinearizable is the default mode by etcd's name.
const modeLinearizable history.Mode = "linearizable"

// memberChange is how long a member may take to join: etcd refuses changes until all members have been
// connected for 5 s (server/etcdserver/api/rafthttp and server.go, isConnectedFullySince), and one may
// have just come back.
const memberChange = 12 * time.Second

var facts = nodes.Facts{
	Port: clientPort,
	Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS,
		history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree, history.OpList,
		history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease},
	Modes: []nodes.Mode{
		{Name: modeLinearizable, Doc: "by whoever is asked, after the leader has confirmed with a quorum how far the log was"},
		{Name: ModeSerializable, Doc: "by whoever is asked, as old as that is"},
	},
	OwnCopy:       ModeSerializable,
	ExitsUnjoined: true, // "could not retrieve cluster information from the given URLs" (server/etcdserver/bootstrap.go)
	MemberChange:  memberChange,
	RPC:           faults.PortsOf(peerPort), // raft's messages; there is no gossip
	Abilities: []history.Ability{history.ObservesLeaders, history.ObservesLogs, history.ReportsIndexes,
		history.TransfersLeader, history.LeavesCluster, history.ChangesMembers},
}

// System is etcd. It remembers what members the nodes of its run have been.
type System struct {
	options Options
	// changing is held by whoever changes the peer set, so that a newcomer starts with the list of
	// members that it will find.
	changing chan struct{}

	mu      sync.Mutex
	members map[string]*membership // by node
}

var _ nodes.System = (*System)(nil)

// New is etcd with these options; an error says which of them etcd would refuse.
func New(o Options) (*System, error) {
	if o.Binary == "" {
		o.Binary = defaultBinary
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Election == 0 {
		o.Election = max(defaultElection, leastElection*o.Heartbeat)
	}
	switch {
	case o.Heartbeat < time.Millisecond || o.Heartbeat%time.Millisecond != 0:
		return nil, fmt.Errorf("heartbeat %v: want whole milliseconds", o.Heartbeat)
	case o.Election < leastElection*o.Heartbeat || o.Election > mostElection || o.Election%time.Millisecond != 0:
		return nil, fmt.Errorf("election %v: want whole milliseconds, from %d heartbeats of %v to %v", o.Election, leastElection, o.Heartbeat, mostElection)
	case o.SnapshotCount < 0:
		return nil, fmt.Errorf("snapshot-count %d: want a positive number", o.SnapshotCount)
	}
	return &System{options: o, changing: make(chan struct{}, 1), members: map[string]*membership{}}, nil
}

// NewClient asks a node of any etcd, started by whomever, for its keys.
func NewClient(at nodes.Endpoint) nodes.Conn {
	return (&System{changing: make(chan struct{}, 1), members: map[string]*membership{}}).Open(at)
}

// Modes are the ways in which its keys are read.
func Modes() []nodes.Mode { return slices.Clone(facts.Modes) }

// Name implements nodes.System.
func (*System) Name() string { return "etcd" }

// Facts implements nodes.System.
func (*System) Facts() nodes.Facts { return facts }

// Open implements nodes.System.
func (s *System) Open(at nodes.Endpoint) nodes.Conn { return s.client(at) }

func (s *System) client(at nodes.Endpoint) *client {
	return &client{web: web.New(at), system: s, names: map[uint64]string{}}
}

// lock makes the caller the only one that changes the peer set, until it calls unlock.
func (s *System) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.changing <- struct{}{}:
		return func() { <-s.changing }, nil
	case <-ctx.Done():
		return nil, nodes.Errorf(history.NotReady, "another change of the peer set is under way: %v", context.Cause(ctx))
	}
}

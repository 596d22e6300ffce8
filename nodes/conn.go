package nodes

import (
	"context"
	"time"

	"faultline/workloads/history"
)

// Conn is a client of one node. Its methods may be called by many goroutines, and never
// repeat a request. Every error is, or wraps, an [*Error]. What a Conn can do beyond this, it
// has by implementing [Leaders], [Leaver], [Members] and [WANMembers].
type Conn interface {
	// Do performs an operation, at most once. An operation that the system does not have is a
	// BadRequest.
	Do(ctx context.Context, op Op) (Answer, error)
	// Observe asks what the node says of itself; an error means that it is not ready to serve.
	// What a node does not tell is zero: a system without leaders answers with the zero value.
	Observe(ctx context.Context) (history.Observation, error)
	// Close gives up its connections.
	Close()
}

// Op is one operation that a node is asked to do. Which fields mean something depends on F.
type Op struct {
	F       history.Op
	DC      string        // the datacenter whose data is meant; empty: that of the node
	Key     string        // of OpList and OpDeleteTree: what the keys begin with; empty means all
	Value   string        // of OpWrite, OpCAS, OpAcquire and OpRelease: what the key is to hold; of OpAppend: the element
	Index   uint64        // of OpCAS and OpDeleteCAS: the modify index that the key must have; 0 without Old: it must be absent
	Old     string        // of OpCAS: the value that the key had at that index, and must have where answers have no index
	Mode    history.Mode  // of OpRead, OpList and OpWatch
	Since   uint64        // of OpWatch: Answer.Next of an earlier answer for the same key; 0 does not wait
	Wait    time.Duration // of OpWatch: after so long, and a part more, it is answered although nothing has changed
	Session string        // of OpRenew, OpDestroy, OpAcquire and OpRelease: which
	TTL     time.Duration // of OpCreate: the session lives at least so long after it was made or last renewed
	// LockDelay, of OpCreate, is how long locks that the session loses by its end cannot be
	// acquired.
	LockDelay time.Duration
	// DeletesKeys, of OpCreate: keys that the session holds at its end are deleted, not released.
	DeletesKeys bool
}

// Answer is what a node answered: to a read the key's state, to a write the state that it made.
type Answer struct {
	Value string // of OpCreate: the session's ID
	Found bool
	Index uint64 // modify index of the key (after the write, for writes; of OpAcquire a fencing token); 0: not told
	// Entry is what a read tells beyond that; it has no key.
	Entry history.Entry
	// Entries are what OpList found, in the order of the answer.
	Entries []history.Entry
	// Next, of reads, is the index of the answer: a watch that goes on from it waits for changes since. For a
	// listing it is not below the index of any change of a key under its prefix.
	Next       uint64
	HasCurrent bool // beside a CASMismatch: Value, Found and Index are what was there
	Hops       []history.Hop
	LastSeen   time.Duration // how long ago the answering server heard from its leader
}

// Leaders is a Conn to a node that can be told to hand leadership over.
type Leaders interface {
	// Transfer makes the node, if it leads, hand leadership over: to a server by name, or
	// to any if to is empty.
	Transfer(ctx context.Context, to string) error
}

// Members is a Conn of a system whose peer set can be looked at and changed by hand.
type Members interface {
	// Identity is what the node calls itself in the peer set. It belongs to the node's
	// disk: a node that comes back with an empty one has another.
	Identity(ctx context.Context) (string, error)
	// Peers is the peer set, as the node knows it.
	Peers(ctx context.Context) ([]Peer, error)
	// RemovePeer makes the leader take a server out of the peer set, by its ID, whether or
	// not the server is there.
	RemovePeer(ctx context.Context, id string) error
}

// WANMembers is a Conn of a system whose servers of all datacenters know of each other.
type WANMembers interface {
	// WANMembers is what the node, a server, knows of them.
	WANMembers(ctx context.Context) ([]history.WANMember, error)
}

// Leaver is a Conn to a node that can be told to leave.
type Leaver interface {
	// Leave makes the node leave its cluster for good and end its process.
	Leave(ctx context.Context) error
}

// Peer is one member of a peer set.
type Peer struct {
	ID      string
	Node    string // its name; empty if nobody of that ID is known any more
	Address string // of its consensus protocol, HOST:PORT
	Voter   bool
	Leader  bool
}

package nodes

import (
	"context"
	"net/netip"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// System is what is under test: how one node of it is built and started, and how it is
// asked.
type System interface {
	// Name as in scenario files.
	Name() string
	// Binary makes sure that the static Linux binary of a node exists, and tells where.
	Binary(ctx context.Context) (path string, err error)
	// Args is the command line of one node, without the program's name. all lists every
	// node of the cluster, self included.
	Args(self NodeInfo, all []NodeInfo) []string
	// APIPort is the TCP port on which a node answers clients.
	APIPort() int
	// Client talks to a node.
	Client(at Endpoint) Client
}

// NodeInfo is where a node lives, as it sees itself.
type NodeInfo struct {
	topologies.Node
	Addr netip.Addr
	Dir  string // its data directory, which outlives its process
}

// Client talks to one node. Every error is, or wraps, an *Error. Its methods may be
// called by many goroutines, and never retry.
type Client interface {
	// Get reads a key. A key that is absent is not an error.
	Get(ctx context.Context, key string, mode history.Mode) (Item, error)
	// Put writes a key.
	Put(ctx context.Context, key, value string) (Item, error)
	// CAS writes a key if its modify index is still index; 0 means "if it is absent". A
	// compare that fails is an *Error with the code CASMismatch, beside an Item that
	// holds what was there, if the node disclosed it (Item.Disclosed).
	CAS(ctx context.Context, key, value string, index uint64) (Item, error)
	// CreateSession makes a session that ends, at the earliest, when its TTL has passed since it
	// was made or last renewed; locks that it holds then cannot be acquired for lockDelay.
	CreateSession(ctx context.Context, ttl, lockDelay time.Duration) (id string, err error)
	// RenewSession gives a session its full TTL again; NoSession if it has ended.
	RenewSession(ctx context.Context, id string) error
	// DestroySession ends a session, and releases its locks.
	DestroySession(ctx context.Context, id string) error
	// Acquire writes a key and locks it for a session; LockHeld if another's, NoSession if
	// the session has ended. The item's index rises with every acquire: a fencing token.
	Acquire(ctx context.Context, key, value, session string) (Item, error)
	// Release writes a key and unlocks it; LockHeld if the session does not hold it.
	Release(ctx context.Context, key, value, session string) (Item, error)
	// Observe asks what the node thinks of itself.
	Observe(ctx context.Context) (history.Observation, error)
	// Leave makes the node leave its cluster for good and end its process.
	Leave(ctx context.Context) error
	// Transfer makes the node, if it leads, hand leadership over; to a server by name, or
	// to whom it likes if that is empty.
	Transfer(ctx context.Context, to string) error
	// Close gives up its connections.
	Close()
}

// Item is a key's state, and how the answer came.
type Item struct {
	Value      string
	Found      bool
	Index      uint64 // modify index of the key (after the write, for writes); 0 if untold
	HasCurrent bool   // on CASMismatch: Value, Found and Index tell what was there
	Hops       []history.Hop
	LastSeen   time.Duration // how long ago the answering server heard from its leader
}

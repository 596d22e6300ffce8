package nodes

import "context"

// Operator is a Client of a system whose peer set can be looked at and changed by hand.
// Clients of other systems need not have it; faults that ask for it then show no effect.
type Operator interface {
	Client
	// Identity is what the node calls itself in the peer set. It belongs to the node's
	// disk: a node that comes back with an empty one has another.
	Identity(ctx context.Context) (string, error)
	// Peers is the peer set, as the node knows it.
	Peers(ctx context.Context) ([]Peer, error)
	// RemovePeer makes the leader take a server out of the peer set, by its ID, whether or
	// not the server is there.
	RemovePeer(ctx context.Context, id string) error
}

// Peer is one member of a peer set.
type Peer struct {
	ID      string
	Node    string // its name; empty if nobody of that ID is known any more
	Address string // of its Raft, IP:PORT
	Voter   bool
	Leader  bool
}

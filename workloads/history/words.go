package history

// The words of a history. Whoever writes or reads one uses these.

// Op is what a client asked for. Events of others say what happened in the same place.
type Op string

const (
	OpRead  Op = "read"
	OpWrite Op = "write"
	OpCAS   Op = "cas"

	OpCreate  Op = "create" // a session
	OpRenew   Op = "renew"
	OpDestroy Op = "destroy"
	OpAcquire Op = "acquire" // a lock; the value of this and the rest is the session's ID
	OpRelease Op = "release"
)

// Mode is how fresh a read must be.
type Mode string

const (
	ModeDefault    Mode = "default"    // by the leader, under its lease
	ModeConsistent Mode = "consistent" // by the leader, after a round of a quorum
	ModeStale      Mode = "stale"      // by whoever is asked
)

// Modes lists all of them.
var Modes = []Mode{ModeDefault, ModeConsistent, ModeStale}

// Role is what a node was on an operation's way.
type Role string

const (
	RoleClient   Role = "client" // an agent that votes for nobody and keeps nothing
	RoleFollower Role = "follower"
	RoleLeader   Role = "leader"
)

// State is what a server says it is in Raft; client agents say nothing.
type State string

const (
	Leader    State = "Leader"
	Follower  State = "Follower"
	Candidate State = "Candidate"
)

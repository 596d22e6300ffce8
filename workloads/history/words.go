package history

import (
	"maps"
	"slices"
)

// The words of a history. Whoever writes or reads one uses these.

// Op is what a client asked for. Events of others say what happened in the same place.
type Op string

const (
	OpRead   Op = "read"
	OpWrite  Op = "write"
	OpCAS    Op = "cas"
	OpAppend Op = "append" // of one element to the list that the key holds; whoever asks twice appends twice

	OpDelete     Op = "delete"
	OpDeleteCAS  Op = "delete-cas"  // a delete if the modify index is still what it was
	OpDeleteTree Op = "delete-tree" // of every key that begins with the key of the operation
	OpList       Op = "list"        // a read of every key that begins with the key of the operation
	OpWatch      Op = "watch"       // a read that waits until the key has changed: a blocking query

	OpCreate  Op = "create" // a session
	OpRenew   Op = "renew"
	OpDestroy Op = "destroy"
	OpAcquire Op = "acquire" // a lock; the value of this and the rest is the session's ID
	OpRelease Op = "release"
)

// Reads reports whether an operation of this kind changes nothing: one whose answer was lost has not
// happened, and any server may answer it in a mode that allows so.
func (o Op) Reads() bool { return o == OpRead || o == OpList || o == OpWatch }

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

// Ability is something that a system can be asked for beside operations.
type Ability string

const (
	ObservesLeaders Ability = "leader"
	ObservesLogs    Ability = "log"
	ReportsIndexes  Ability = "index"
	TransfersLeader Ability = "transfer"
	LeavesCluster   Ability = "leave"
	ChangesMembers  Ability = "members"
	RunsClients     Ability = "clients"
	DelaysLocks     Ability = "lock-delay"
	JoinsDCs        Ability = "datacenters"
	DeclaresAge     Ability = "age"
)

var abilityDocs = map[Ability]string{
	ObservesLeaders: "its servers say which state they are in, and who leads",
	ObservesLogs:    "its servers say their terms, and how far their replicated logs are",
	ReportsIndexes:  "its answers have modify indexes",
	TransfersLeader: "a leader can be told to hand over",
	LeavesCluster:   "a node can be told to leave",
	ChangesMembers:  "the peer set can be looked at and changed",
	RunsClients:     "it has client agents: nodes that keep nothing and forward",
	JoinsDCs:        "it has several datacenters, each with data of its own, and any node can be asked for the data of any of them",
	DeclaresAge:     "its answers to stale reads say how long ago their server has heard from its leader",
	DelaysLocks:     "its sessions can have a lock delay, and can release their keys in place of deleting them",
}

// Abilities lists all of them, sorted.
func Abilities() []Ability { return slices.Sorted(maps.Keys(abilityDocs)) }

// Doc says what a system with the ability does.
func (a Ability) Doc() string { return abilityDocs[a] }

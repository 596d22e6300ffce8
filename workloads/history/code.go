package history

import (
	"maps"
	"slices"
)

// Code names why an operation failed. The table below is the only place that decides
// whether such an operation may have taken effect, and whether asking again can help.
type Code string

const (
	// Answers of a node that refused before anything was proposed to Raft.
	NotLeader   Code = "not-leader"   // a server that does not lead, and never led this entry, was asked to lead it
	NoLeader    Code = "no-leader"    // nobody is known to lead, and waiting did not help
	NoServer    Code = "no-server"    // a client agent knows no server that it can reach
	NoPath      Code = "no-path"      // no server of the datacenter that was meant has ever been heard of
	DCDown      Code = "dc-down"      // servers of that datacenter are known, and none is taken to be alive
	DCFailed    Code = "dc-failed"    // those that are were tried, none could be connected to, and nothing was sent
	BadRequest  Code = "bad-request"  // the request makes no sense to the node
	NotReady    Code = "not-ready"    // the node is starting or leaving
	CASMismatch Code = "cas-mismatch" // the compare of a compare-and-set failed; not a fault
	NotFound    Code = "not-found"    // no such endpoint
	NoSession   Code = "no-session"   // the session has ended, or never was
	Rejected    Code = "rejected"     // the node said that it did not do it, in an answer that its system's file calls so
	LockHeld    Code = "lock-held"    // a lock is another session's, or must wait for a lock delay; not a fault

	// Nothing was sent.
	Refused     Code = "connection-refused"
	Unreachable Code = "unreachable" // the connection could not be made in time, or at all

	// The request was, or may have been, sent, and nobody can say what became of it.
	LeadershipLost Code = "leadership-lost" // the leader stepped down with the entry in flight
	Timeout        Code = "timeout"
	ConnectionLost Code = "connection-lost" // after the request was on its way
	ForwardLost    Code = "forward-lost"    // the node lost the one that it had forwarded to
	Shutdown       Code = "shutdown"        // the node stopped with the entry in flight
	Unknown        Code = "unknown"         // an answer that this table does not know
)

// fate is what a code says of the operation that failed with it.
type fate struct {
	definite bool // it certainly did not take effect
	final    bool // who asks again, or elsewhere, gets the same answer
	served   bool // it was answered as it should be: its condition did not hold
}

var codes = map[Code]fate{
	NotLeader:   {definite: true},
	NoLeader:    {definite: true},
	NoServer:    {definite: true},
	NoPath:      {definite: true},
	DCDown:      {definite: true},
	DCFailed:    {definite: true},
	BadRequest:  {definite: true, final: true},
	NotReady:    {definite: true},
	CASMismatch: {definite: true, final: true, served: true},
	NotFound:    {definite: true, final: true},
	NoSession:   {definite: true, final: true, served: true},
	Rejected:    {definite: true},
	LockHeld:    {definite: true, final: true, served: true},
	Refused:     {definite: true},
	Unreachable: {definite: true},

	LeadershipLost: {},
	Timeout:        {},
	ConnectionLost: {},
	ForwardLost:    {},
	Shutdown:       {},
	Unknown:        {},
}

// Codes lists all of them, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(codes)) }

// Definite reports whether an operation that failed with this code certainly did not take
// effect. A code that is not in the table is indefinite.
func (c Code) Definite() bool { return codes[c].definite }

// Final reports whether it is of no use to ask again, or elsewhere.
func (c Code) Final() bool { return codes[c].final }

// Served reports whether the system answered as it should, and only the condition of the
// operation did not hold.
func (c Code) Served() bool { return codes[c].served }

// Known reports whether the code stands in the table.
func (c Code) Known() bool { _, ok := codes[c]; return ok }

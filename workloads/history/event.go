// Package history is the record of a run: one append-only log of what clients,
// nemesis and observer did and saw, all on one monotonic clock.
//
// A history is a sequence of Events, a line of JSON each. A client operation is two of
// them: an invoke, then an ok (it took effect), a fail (it definitely did not) or an
// info (it may or may not have). A process that got info, or no answer at all, never
// acts again, so a later event of it cannot be mistaken for the answer.
//
//	{"index":0,"time":1000,"process":0,"type":"invoke","f":"write","key":"k1","value":7,"node":"dc1-s1"}
//	{"index":1,"time":9000,"process":0,"type":"ok","f":"write","key":"k1","value":7,"node":"dc1-s1","index_at":12}
//
// Its last line is a Seal, with the sum of all above it, if the harness lived to write one.
//
// The names of fields are Jepsen's (https://github.com/jepsen-io/history); node, mode,
// index_at and what follows them are ours.
//
// It is not for judging a history (package checker) or for making one (workloads).
package history

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Type is the stage of an operation.
type Type string

const (
	Invoke Type = "invoke"
	OK     Type = "ok"
	Fail   Type = "fail" // definitely did not take effect
	Info   Type = "info" // may or may not have taken effect; also every event that is no client's
)

func (t Type) known() bool { return t == Invoke || t == OK || t == Fail || t == Info }

// Process is who acted: a client thread from 0 on, or one of the names below.
type Process int64

const (
	Nemesis  Process = -1 // faults; the value of its events is a FaultEvent
	Observer Process = -2 // samples nodes; the value is an Observation, a PeerSet, or what a node holds of a key
	Harness  Process = -3 // marks the phases of a run; the value is a Phase
	Runtime  Process = -4 // where the nodes live; the value is a ProcessEvent
)

// F of the events that no client made.
const (
	FPhase   Op = "phase"
	FObserve Op = "observe"
	FCopy    Op = "copy"  // of the observer: what a node itself holds of a key, as a client's read has it
	FPeers   Op = "peers" // of the observer: a node's account of the peer set; the value is a PeerSet
	FEcho    Op = "echo"  // of the observer: how exchanges over TCP fared beside the system; the value is an Echo
	FWan     Op = "wan"   // of the observer: a server's account of the servers of all datacenters; the value is a WANView
	FProcess Op = "process"
	FLost    Op = "lost" // of the harness: the cluster was lost here; the value is a text that says how
	FSeal    Op = "seal" // of the harness: the last line; the value is a Seal
)

// Event is one line of a history.
type Event struct {
	Index       int64   // position in the history, from 0, without gaps
	Time        int64   // nanoseconds of the monotonic clock since the run began; never falls
	Process     Process // who
	Type        Type
	F           Op              // what: an OpRead, or the F of another event
	Key         string          // the independent key, empty where there is none
	Value       json.RawMessage // argument or result: an integer, null for absent, [old,new] for cas, [old,null] for delete-cas
	Error       Code            // on fail and info
	Node        string          // the node that was asked
	DC          string          // the datacenter whose data was meant; empty: that of the node
	Mode        Mode            // read mode
	ModifyIndex uint64          // the store's modify index in the answer; 0 if it told none
	Current     json.RawMessage // on a failed cas: the value that was there, where the node disclosed it
	AgeMS       int64           // milliseconds: how old the answer of a stale read may be, as its server declared; 0 of one that leads or does not tell
	Hops        []Hop           // the nodes that the answer came through, first the one asked
}

// Hop is one node on an operation's way.
type Hop struct {
	Node string  `json:"node"`
	Role Role    `json:"role"` // client, follower, leader
	MS   float64 `json:"ms"`   // milliseconds that this node and those behind it took
}

// Entry is a key and all that a store holds of it. It is the recorded value of reads and listings of
// workloads that look at more than values; a key that is absent is null.
type Entry struct {
	Key         string `json:"key,omitempty"` // of a listing; elsewhere it is the event's
	Value       string `json:"value"`
	CreateIndex uint64 `json:"create,omitempty"`  // of the write that made the key
	ModifyIndex uint64 `json:"modify,omitempty"`  // of the last change
	LockIndex   uint64 `json:"lock,omitempty"`    // how often it has been acquired
	Session     string `json:"session,omitempty"` // that holds it
}

// WatchArgument is the value of an OpWatch that is asked for.
type WatchArgument struct {
	Since  uint64 `json:"since"`   // the index to go on from; 0 does not wait
	WaitMS int64  `json:"wait_ms"` // how long to wait for a change, in milliseconds
}

// WatchResult is the value of an OpWatch that was answered.
type WatchResult struct {
	Value       json.RawMessage `json:"value"`            // null: the key is absent
	CreateIndex uint64          `json:"create,omitempty"` // of the write that made the key
	ModifyIndex uint64          `json:"modify,omitempty"` // of its last change
	Next        uint64          `json:"next"`             // the index to go on from
}

// Listing is the recorded value of a listing.
type Listing struct {
	Entries []Entry `json:"entries"` // in the order of the answer
	Next    uint64  `json:"next"`    // index of the answer: not below that of any change under its prefix
}

// Observation is what one node said of itself when the observer asked it.
type Observation struct {
	BootID  string `json:"boot"`             // differs after every start of the node's process
	State   State  `json:"state"`            // empty for client agents
	Leader  string `json:"leader,omitempty"` // node name of the leader that it follows, empty if none
	Term    uint64 `json:"term"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	Last    uint64 `json:"last"` // last log index
	// What its process uses; 0: it does not tell.
	Goroutines  int    `json:"goroutines,omitempty"`
	Descriptors int    `json:"descriptors,omitempty"` // open files and sockets
	Memory      uint64 `json:"memory,omitempty"`      // bytes that are alive in its heap
	Error       string `json:"error,omitempty"`       // why the node did not answer; then the rest is empty
}

// Phase is a part of a run.
type Phase string

const (
	PhaseFaults    Phase = "faults"      // clients run, the nemesis may act
	PhaseQuiet     Phase = "quiet"       // all is healed, clients still run
	PhaseFinal     Phase = "final"       // final reads
	PhaseEnd       Phase = "end"         // the last event of a run that was not cut off
	PhaseInterrupt Phase = "interrupted" // the user stopped the run here; quiet and final follow
	PhaseFound     Phase = "found"       // a violation was found here, and the run was to end with the first; quiet and final follow
)

// Int is the Value of one integer.
func Int(v int64) json.RawMessage { return appendInt(nil, v) }

// Pair is the Value of a cas; a nil old means "absent".
func Pair(old *int64, new int64) json.RawMessage { return Change(old, &new) }

// Change is the Value of a cas, or with a nil new that of a delete-cas; nil means "absent".
func Change(old, new *int64) json.RawMessage {
	b := appendIntOrNull([]byte{'['}, old)
	return append(appendIntOrNull(append(b, ','), new), ']')
}

func appendIntOrNull(b []byte, n *int64) []byte {
	if n == nil {
		return append(b, "null"...)
	}
	return appendInt(b, *n)
}

// Null is the Value of a key that is absent.
var Null = json.RawMessage("null")

// AsInt reads a Value made by Int, or Null, for which it returns nil.
func AsInt(v json.RawMessage) (*int64, error) {
	if n, ok := plainInt(v); ok {
		return n, nil
	}
	var n *int64
	err := json.Unmarshal(v, &n)
	return n, err
}

// AsPair reads a Value made by Pair.
func AsPair(v json.RawMessage) (old *int64, new int64, err error) {
	old, set, err := AsChange(v)
	if err == nil && set == nil {
		err = fmt.Errorf("history: %s is not the [old,new] of a cas", v)
	}
	if err != nil {
		return nil, 0, err
	}
	return old, *set, nil
}

// AsChange reads a Value made by Pair or Change.
func AsChange(v json.RawMessage) (old, new *int64, err error) {
	if first, second, ok := bytes.Cut(bytes.TrimSuffix(bytes.TrimPrefix(v, []byte{'['}), []byte{']'}), []byte{','}); ok && len(v) == len(first)+len(second)+3 {
		old, okOld := plainInt(first)
		set, okSet := plainInt(second)
		if okOld && okSet {
			return old, set, nil
		}
	}
	var pair []*int64
	if err := json.Unmarshal(v, &pair); err != nil {
		return nil, nil, err
	}
	if len(pair) != 2 {
		return nil, nil, fmt.Errorf("history: %s is not the [old,new] of a cas", v)
	}
	return pair[0], pair[1], nil
}

// plainInt reads what Int and Null write, without the cost of a decoder; all else is for that.
func plainInt(v []byte) (n *int64, ok bool) {
	if string(v) == "null" {
		return nil, true
	}
	const digits = 18 // which never overflow
	text := v
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > digits || text[0] == '0' && len(text) > 1 {
		return nil, false
	}
	var sum int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return nil, false
		}
		sum = sum*10 + int64(c-'0')
	}
	if negative {
		sum = -sum
	}
	return &sum, true
}

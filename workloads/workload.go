// Package workloads makes client operations and plays them against a cluster with
// concurrent clients, writing down everything they saw.
//
// A Workload makes a Generator; a Runner plays it:
//
//	gen, err := workloads.All()[0].New(workloads.Options{Mode: history.ModeConsistent})
//	runner, err := workloads.NewRunner(workloads.Config{
//		Generator: gen, Clients: clients, Nodes: names, Log: log,
//		Rate: 200, Concurrency: 10, Timeout: 2 * time.Second,
//	})
//	err = runner.Run(ctx)     // until ctx ends
//	err = runner.Final(after) // read once more what was written last
//
// Whether an operation that failed may have happened is decided by the table of codes
// in package nodes, and nowhere here: definite is recorded as fail, indefinite as info.
// Reads are the one exception: a read changes nothing, so a read that failed has not
// happened whatever became of the request, and is always a fail, as in Jepsen.
//
// There are several, a file each. The register is reads, writes and compare-and-sets of integers on a few keys,
// each of which is replaced as it grows old. The lock is sessions that compete for a few
// locks: each is made, renewed, and destroyed or abandoned, and what a session held meanwhile is for
// the checkers mutex and sessions to judge. The append is lists that clients append to. The tree
// lists and deletes keys by what they begin with. The forwarding is registers, locks and lists together, read in all modes.
//
// Of several datacenters, each of which has its own data, every workload asks for the data of each: see [Workload.Generator].
//
// A new workload is one file with a Generator, one with its Checker (package checker), and one line in All. It is not for judging
// what was seen (package checker).
package workloads

import (
	"encoding/json"
	"time"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// Op is one operation that a client is to do.
type Op struct {
	nodes.Op
	Argument json.RawMessage // as the history has it: nil for a read, [old,new] for a cas
	// Record is how what the store holds is recorded, if clients of the workload can have written
	// it; nil takes integers. Reads of one key ask it for what was found alone.
	Record func(found nodes.Answer) (json.RawMessage, bool)
	Own    any // what the generator wants to find again in Learn
}

// Outcome is what came of an Op.
type Outcome struct {
	Type   history.Type // OK, Fail or Info
	Error  history.Code // why it is not OK
	Answer nodes.Answer // holds something if Type is OK, or if Answer.HasCurrent
}

// Generator decides what clients do. Its methods are called by many goroutines.
type Generator interface {
	// Next is the next operation. There is always one.
	Next() Op
	// Read is a read of a key that is in use now, or what else a leader that was deposed must not
	// answer from what it remembers.
	Read() Op
	// Finals are reads of keys that were used, at most so many: the newest and the oldest in turn.
	Finals(most int) []Op
	// Learn is told what came of an operation of Next, Read or Finals.
	Learn(Op, Outcome)
}

// Placed is a Generator to which it matters where who asks is. A Runner that knows the datacenters of its nodes
// calls these methods in place of Next and Read.
type Placed interface {
	Generator
	// NextAt is Next of a client at a node of this datacenter.
	NextAt(dc string) Op
	// ReadAt is Read at a node of this datacenter.
	ReadAt(dc string) Op
}

// Workload is a kind of load, and who judges what came of it.
type Workload struct {
	Name string
	Doc  string       // one sentence
	Ops  []history.Op // that a system must have
	New  func(Options) (Generator, error)
	// Checkers judge its histories alone; those of checker.All judge every run beside.
	Checkers []checker.Checker
}

// All lists the workloads by name.
func All() []Workload {
	return []Workload{Append(), Forwarding(), Lock(), Register(), Tree(), Watch()}
}

// Generator makes the Generator of a workload: one for the data of each of several datacenters, if the
// options name several.
func (w Workload) Generator(o Options) (Generator, error) {
	if len(o.Datacenters) > 1 {
		return newDatacenters(o, w.New)
	}
	return w.New(o)
}

// Options shape a workload. The zero value of a field means its default; a share that
// is to be nothing is negative.
type Options struct {
	Mode      history.Mode // of reads; default Default
	Keys      int          // keys in use at a time; default 6
	OpsPerKey int          // a key is replaced after so many operations; default 150
	ReadShare float64      // part of the operations that read; default 0.5
	CASShare  float64      // part that compare and set; default 0.25. The rest writes.
	Seed      uint64       // of the choice of operations; the default is 0
	// ColdShare is the part of the operations on cold keys: one in two of those is written once, the others a few
	// times, and all of them are read to the end. A hot key is written again before anybody
	// could miss a write that was lost. Default 0.
	ColdShare float64
	// DeleteShare is the part of the operations that delete, at the expense of writes, for systems that have
	// OpDelete and OpDeleteCAS. Default 0.
	DeleteShare float64
	// LateShare is the part of the operations that compare and set by what a client was told of a key long ago.
	// Default 0.
	LateShare float64
	// OddNames: one key in three has a name that has to be escaped somewhere on its way.
	OddNames bool
	// ByValue is for systems whose answers have no modify index: what was answered last is what a
	// compare-and-set compares with.
	ByValue bool
	// Concurrency and Timeout are the runner's, for workloads whose operations block. Defaults 12 and 3 s.
	Concurrency int
	Timeout     time.Duration
	// Datacenters are those whose data is asked for, by name; none: that of the node which is asked. See
	// [Workload.Generator], which alone looks at them.
	Datacenters []string
	// After is what the integers are above that clients write, so that no two generators write the same.
	After int64
	// AppendShare is the part of the appends to lists that are an OpAppend, for systems that have it. Default 0.
	AppendShare float64
	// Modes are those in which the system can read, for workloads that read in all of them. Default all.
	Modes []history.Mode
	// PlainSessions is for systems whose sessions have no lock delay, and always delete their keys.
	PlainSessions bool
}

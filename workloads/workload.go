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
// There are two. The register is reads, writes and compare-and-sets of integers on a few keys,
// each of which is replaced as it grows old. The lock is sessions that compete for a few
// locks: each is made, renewed, and destroyed or abandoned, and what a session held meanwhile is for
// the checker mutex to judge.
//
// A new workload is one file with a Generator and one line in All. It is not for judging
// what was seen (package checker).
package workloads

import (
	"encoding/json"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Op is one operation that a client is to do.
type Op struct {
	F      history.Op      // an OpRead, or the like
	Key    string          //
	Value  json.RawMessage // the argument as the history has it: nil for a read, [old,new] for a cas
	Stored string          // what a write or a cas puts into the store
	Index  uint64          // the modify index that a cas compares; 0 means "if it is absent"
	Mode   history.Mode    // of a read

	Session string        // of an operation on sessions and locks but Create
	TTL     time.Duration // of the session that a Create makes

	key   *registerKey // what register knows of the key
	actor *actor       // of lock, whose operation it is
}

// Answer is what came of an Op.
type Answer struct {
	Type  history.Type // OK, Fail or Info
	Error history.Code // why it is not OK
	Item  nodes.Item   // holds something if Type is OK, or if Item.Disclosed
}

// Generator decides what clients do. Its methods are called by many goroutines.
type Generator interface {
	// Next is the next operation. There is always one.
	Next() Op
	// Read is a read of a key that is in use now.
	Read() Op
	// Finals are reads of the keys that were used last, the latest first, at most so many.
	Finals(most int) []Op
	// Learn is told what came of an operation of Next, Read or Finals.
	Learn(Op, Answer)
}

// Workload is a kind of load.
type Workload struct {
	Name string
	Doc  string // one sentence
	New  func(Options) (Generator, error)
}

// All lists the workloads by name.
func All() []Workload {
	return []Workload{
		{"lock", "sessions that compete for a few locks, renew them, and release them or run out", NewLock},
		{"register", "reads, writes and compare-and-sets of integers on keys that are replaced as they grow old", NewRegister},
	}
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
}

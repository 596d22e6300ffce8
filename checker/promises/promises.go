// Package promises is the table of what systems like Consul and etcd promise their users, and of who holds
// them to it: the checker that judges a promise, the workload that exercises it, and the planted defects
// that prove the checker.
//
//	for _, p := range promises.Of(history.OpList) {
//		fmt.Println(p.Name, p.Text, p.Checker)
//	}
//
// An operation that a workload can ask for has a row here, and so has every checker that can call a system
// wrong; a test holds the table to the code. It is not a list of what Faultline could check one day: what no
// checker judges is no row, and stands under "What nobody judges yet" in this folder's README.
package promises

import (
	"slices"

	"faultline/workloads/history"
)

// Promise is a row.
type Promise struct {
	Name     string       // short, unique
	Ops      []history.Op // of which operations; none: of the cluster as a whole
	Text     string       // a sentence
	Sources  []string     // where systems make it, or the paper that it is from
	Checker  string       // that judges it
	Workload string       // that exercises it; empty: each does
	Defects  []string     // planted, each of which breaks it
}

// Documents that promises are taken from.
const (
	consulModes    = "https://developer.hashicorp.com/consul/api-docs/features/consistency"
	consulBlocking = "https://developer.hashicorp.com/consul/api-docs/features/blocking"
	consulKV       = "https://developer.hashicorp.com/consul/api-docs/kv"
	consulSession  = "https://developer.hashicorp.com/consul/api-docs/session"
	consulSessions = "https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions"
	consulRaft     = "https://developer.hashicorp.com/consul/docs/architecture/consensus"
	etcdPromises   = "https://etcd.io/docs/v3.6/learning/api_guarantees/"
	raftPaper      = "Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm, 2014"
)

// Of lists the promises of an operation.
func Of(op history.Op) (all []Promise) {
	for _, p := range All {
		if slices.Contains(p.Ops, op) {
			all = append(all, p)
		}
	}
	return all
}

// All is the table.
var All = []Promise{}

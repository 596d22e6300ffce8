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
	consulWAN      = "https://developer.hashicorp.com/consul/docs/east-west/wan-federation"
	consulRaft     = "https://developer.hashicorp.com/consul/docs/architecture/consensus"
	etcdPromises   = "https://etcd.io/docs/v3.6/learning/api_guarantees/"
	liveness       = "https://tigerbeetle.com/blog/2023-07-06-simulation-testing-for-liveness"
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

// All is the table, in the order of the README.
var All = []Promise{
	{"a read returns the newest value", []history.Op{history.OpRead},
		"A read in default or consistent mode returns what the newest write left that was answered before the read was asked for, or something newer.",
		[]string{consulModes, etcdPromises}, "linearizable", "register",
		[]string{"stale-follower-read", "deposed-leader-read", "consistent-read-before-apply", "wall-clock-lease"}},
	{"a stale copy catches up", []history.Op{history.OpRead},
		"A read in stale mode may be old, but what every server holds becomes what the cluster has agreed on.",
		[]string{consulModes}, "copies", "register", []string{"follower-skips-entries"}},
	{"a write lasts", []history.Op{history.OpWrite},
		"A write that was acknowledged is there until another replaces it, whatever fails.",
		[]string{consulRaft, etcdPromises}, "linearizable", "register",
		[]string{"ack-before-commit", "no-fsync", "no-dir-fsync", "rejoins-with-empty-log", "snapshot-drops-key"}},
	{"an operation takes effect once", []history.Op{history.OpWrite, history.OpCAS},
		"What was asked for once takes effect once at most, and not at all if it was refused.",
		[]string{consulKV, etcdPromises}, "linearizable", "register", []string{"forward-retry-doubles"}},
	{"a compare-and-set compares", []history.Op{history.OpCAS},
		"A compare-and-set takes effect if the key is as its client knew it, at the instant at which it takes effect, and only then.",
		[]string{consulKV, etcdPromises}, "linearizable", "register", []string{"cas-checked-by-follower"}},
	{"an append is kept", []history.Op{history.OpCAS, history.OpAppend},
		"Of lists that clients append to, by compare-and-set or by an append, no element is lost, doubled or moved.",
		[]string{consulKV, etcdPromises}, "append", "append", []string{"cas-checked-by-follower"}},
	{"an append is done once", []history.Op{history.OpAppend},
		"An element that is appended once is in its list once, and stays where it is, whoever passed the request on.",
		[]string{"the reference agent's own"}, "append", "append", []string{"wan-retry-doubles"}},
	{"indexes rise", []history.Op{history.OpRead, history.OpWrite, history.OpCAS, history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree},
		"A key's modify index rises with every change, and stands for one value.",
		[]string{consulKV, etcdPromises}, "index", "", []string{"restore-resets-index"}},
	{"what is deleted is gone", []history.Op{history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree},
		"A key that was deleted is absent until it is written again, and is a new one then; a conditional deletion takes effect only if the key is as its client knew it.",
		[]string{consulKV, etcdPromises}, "tree", "tree", []string{"snapshot-keeps-deleted"}},
	{"a prefix is deleted whole", []history.Op{history.OpDeleteTree},
		"All keys with a prefix are deleted at one instant: nobody sees some of them gone and others there.",
		[]string{consulKV, etcdPromises}, "tree", "tree", []string{"delete-tree-key-by-key"}},
	{"a listing is one snapshot", []history.Op{history.OpList},
		"A listing shows all keys with a prefix as they were at one instant, each once, sorted.",
		[]string{consulKV, etcdPromises}, "tree", "tree", []string{"list-in-halves"}},
	{"a listing is as new as a read", []history.Op{history.OpList},
		"A listing in default or consistent mode shows whatever was acknowledged before it was asked for.",
		[]string{consulModes, etcdPromises}, "tree", "tree", []string{"list-from-follower"}},
	{"a watch skips nothing for good", []history.Op{history.OpWatch},
		"A client that goes on from the index of each answer learns of every key's newest state; no answer has an index beyond the state that it shows.",
		[]string{consulBlocking}, "watch", "watch", []string{"watch-index-after-state"}},
	{"a watch wakes", []history.Op{history.OpWatch},
		"A watch returns soon after its key has changed, by a deletion too.",
		[]string{consulBlocking}, "watch", "watch", []string{"watch-misses-deletes"}},
	{"a watch waits", []history.Op{history.OpWatch},
		"A watch whose key does not change waits for most of the time that it was given; that it returns early now and then is allowed.",
		[]string{consulBlocking}, "watch", "watch", []string{"watch-never-waits"}},
	{"a lock has one holder", []history.Op{history.OpAcquire, history.OpRelease, history.OpCreate, history.OpRenew},
		"Two sessions never hold one lock, by what their clients can know, and the index of an acquire rises.",
		[]string{consulSessions, "Kleppmann, How to do distributed locking, 2016"}, "mutex", "lock", []string{"session-expiry-by-wall-clock"}},
	{"only its holder releases a lock", []history.Op{history.OpRelease},
		"A release takes effect if the session holds the lock, and only then.",
		[]string{consulKV}, "sessions", "lock", []string{"release-by-anyone"}},
	{"a session that has ended is renewed no more", []history.Op{history.OpRenew},
		"A session lives as long as its TTL after it was made or renewed, and once it has ended nothing brings it back.",
		[]string{consulSession, consulSessions}, "sessions", "lock", []string{"deposed-leader-renews"}},
	{"a session ends with all that it holds", []history.Op{history.OpDestroy},
		"When a session ends, every lock that it holds is released, or deleted if the session was made so.",
		[]string{consulSessions}, "sessions", "lock", []string{"session-end-frees-one-key", "delete-behavior-releases"}},
	{"sessions last as long as their locks", []history.Op{history.OpCreate, history.OpAcquire},
		"A lock is held by a session that there is, or can be acquired: restarts and snapshots keep both.",
		[]string{consulSessions}, "sessions", "lock", []string{"snapshot-drops-sessions"}},
	{"a lock delay is kept", []history.Op{history.OpAcquire},
		"A lock that a session has lost by its end cannot be acquired before its lock delay is over.",
		[]string{consulSessions}, "sessions", "lock", []string{"lock-delay-ignored"}},

	{"an effect is where it was meant", []history.Op{history.OpRead, history.OpWrite, history.OpCAS, history.OpAppend, history.OpAcquire},
		"What is asked of one datacenter for another is done by that other, and by no third nor by itself.",
		[]string{consulKV, consulWAN}, "forwarding", "", []string{"wrong-dc-on-failover"}},
	{"an error tells the truth", []history.Op{history.OpWrite, history.OpCAS, history.OpAppend},
		"An error that says that nothing was done is true, whoever it comes from; that a datacenter has never been heard of is said by those alone who have not.",
		[]string{consulWAN}, "forwarding", "", []string{"drops-deadline"}},
	{"a stale answer says how old it may be", []history.Op{history.OpRead},
		"An answer to a stale read says how long ago its server heard from its leader.",
		[]string{consulModes}, "forwarding", "forwarding", []string{"last-contact-lies"}},

	{"one leader a term", nil,
		"There is one leader a term at most, it has all that was committed before, and terms and commit indexes never fall.",
		[]string{raftPaper + ", figure 3"}, "raft", "", []string{"rejoins-with-empty-log"}},
	{"the shortest way", nil,
		"A request goes from whoever was asked to the leader that it knows, through no node twice.",
		[]string{consulRaft}, "hops", "", []string{"forwards-to-neighbour"}},
	{"the shortest way between datacenters", nil,
		"A request for another datacenter goes from a server right to one there, and from that to its leader.",
		[]string{consulWAN}, "hops", "", []string{"forward-loop"}},
	{"datacenters know each other", nil,
		"The pool of all datacenters has their servers alone, and after the last heal all of them.",
		[]string{consulWAN}, "wan", "", []string{"wan-never-rejoins"}},
	{"every node serves again", nil,
		"After the last heal every node that clients ask serves every operation again, in time.",
		[]string{liveness}, "availability", "", []string{"forwards-to-old-leader", "forwards-to-old-leader-forever"}},
	{"a majority serves", nil,
		"While a majority of the servers is well, writes and reads that are asked of it succeed, whatever the others do.",
		[]string{consulRaft, liveness}, "progress", "", []string{"waits-for-every-peer"}},
	{"the peer set is the cluster", nil,
		"After the last heal the peer set is the servers that should run, all of them with a vote.",
		[]string{"https://developer.hashicorp.com/consul/docs/manage/scale/autopilot"}, "members", "", []string{"never-promotes"}},
	{"nothing leaks", nil,
		"What a node's process uses does not grow without end.",
		[]string{"https://developer.hashicorp.com/consul/docs/monitor/telemetry"}, "leaks", "", []string{"leaks-goroutines"}},
}

// Unplanted are the checkers that call a system wrong without a defect of the agent: their tests, and the faults
// themselves, prove them.
var Unplanted = map[string]string{
	"crashes":       "a process that ends by itself: tests start one that does, on every runtime",
	"nodes":         "a node that does not answer at the end: every fault that is never healed is one, in the tests of the harness itself",
	"service-level": "what a scenario itself says of how its clients are served: a scenario that asks for the impossible breaks it, in its tests",
}

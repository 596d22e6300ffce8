package agent

import (
	"fmt"
	"slices"
	"strings"
)

// Defect is a bug that can be planted: a mutation test shows that the harness finds it.
type Defect struct {
	Name   string
	Doc    string // what the agent does wrong
	Report string // the real behaviour or report that it is taken from
}

const (
	AckBeforeCommit           = "ack-before-commit"
	CASCheckedByFollower      = "cas-checked-by-follower"
	ConsistentReadBeforeApply = "consistent-read-before-apply"
	DeposedLeaderRead         = "deposed-leader-read"
	ForwardRetryDoubles       = "forward-retry-doubles"
	ForwardsToNeighbour       = "forwards-to-neighbour"
	ForwardsToOldLeader       = "forwards-to-old-leader"
	LeaksGoroutines           = "leaks-goroutines"
	NeverPromotes             = "never-promotes"
	NoDirFsync                = "no-dir-fsync"
	NoFsync                   = "no-fsync"
	RejoinsWithEmptyLog       = "rejoins-with-empty-log"
	RestoreResetsIndex        = "restore-resets-index"
	SessionExpiryByWallClock  = "session-expiry-by-wall-clock"
	SnapshotDropsKey          = "snapshot-drops-key"
	StaleFollowerRead         = "stale-follower-read"
	WaitsForEveryPeer         = "waits-for-every-peer"
	WallClockLease            = "wall-clock-lease"
)

// Defects lists all of them, sorted by name.
var Defects = []Defect{
	{AckBeforeCommit,
		"a write is answered once it is handed to Raft, before a majority has it",
		`etcd-io/etcd#14370: a single-node etcd answered writes before they were durable`},
	{CASCheckedByFollower,
		"the server that is asked checks a compare-and-set against its own copy and sends the leader a plain write",
		`etcd-io/etcd#4226: a design that checks the condition before the proposal instead of when it is applied`},
	{ConsistentReadBeforeApply,
		"a consistent read does not wait until the new leader has applied what was committed before it led",
		`hashicorp/consul#2644, fixed in #3154: stale reads from a leader that still replays its log`},
	{DeposedLeaderRead,
		"being in Raft's leader state is enough to answer a default read; no lease is checked",
		`hashicorp/consul#54, and the documented window of the default mode: a leader that was replaced and does not know it yet`},
	{ForwardRetryDoubles,
		"a write that failed with an indefinite error is sent again, and may take effect twice",
		`etcd-io/etcd#14890 and jepsen.io/analyses/jetcd-0.8.2: a client that retries writes of unknown fate; etcd-io/etcd#6691`},
	{ForwardsToNeighbour,
		"a follower forwards to the next server of the peer set, whoever that is, and that one forwards on",
		`ArcadeData/arcadedb#7516: what a follower forwards to another follower is forwarded again, and may go round without end`},
	{ForwardsToOldLeader,
		"a server forwards to the first leader that it has known, whoever leads by now",
		`scylladb/scylladb#30182: a cached leader is taken for forwarding although it is down; eBay/NuRaft#116: a deposed server goes on naming a leader of old`},
	{LeaksGoroutines,
		"every request that an agent forwards leaves a goroutine behind",
		`hashicorp/consul#9647: blocking queries that were given up leave goroutines and descriptors in the server; hashicorp/nomad#6620: API calls leave goroutines`},
	{NeverPromotes,
		"the leader takes a server that joins into the peer set, and never gives it a vote",
		`hashicorp/consul#3472: servers that are added stay without a vote, until those that had one are gone`},
	{NoDirFsync,
		"a server syncs the files that it makes and renames, and never their directories: ext4, XFS and btrfs keep the names, POSIX does not promise it",
		`google/leveldb#196, files that are made; facebook/rocksdb#8903, files that are renamed; mongodb-partners/mongo-rocks#35, both under a cluster`},
	{NoFsync,
		"a server answers that log entries, votes and snapshots are on its disk, and never waits until they are",
		`tikv/tikv#994: a follower that lost entries which it had acknowledged; robustmq/robustmq#2039: a Raft log and votes written without fsync`},
	{RejoinsWithEmptyLog,
		"a server that lost its disk comes back under its old identity, made of its name, and votes with its empty log",
		`lni/dragonboat#256 and sofastack/sofa-jraft#1000: a server whose directory was deleted comes back under its old identity`},
	{RestoreResetsIndex,
		"a snapshot that is restored numbers the modify indexes anew, from 1",
		`hashicorp/consul#8377, fixed in #8474: objects restored from a snapshot with other modify indexes`},
	{SessionExpiryByWallClock,
		"the leader ends sessions at a time of the wall clock, so one that jumps ahead ends all of them, renewed or not",
		`etcd-io/etcd#6700 and #12291: leases expire by the wall clock`},
	{SnapshotDropsKey,
		"a snapshot leaves out the keys of one part in four",
		`openstack-experimental/keystone#1293 and JDRaftKeeper/RaftKeeper#240: snapshots that lack a part of what was stored`},
	{StaleFollowerRead,
		"a follower answers default reads from its own copy",
		`aphyr.com/posts/316, "Jepsen: etcd and Consul" (2014): etcd answered reads from the copy of any node`},
	{WaitsForEveryPeer,
		"a new leader answers no default or consistent read until every server of the peer set has answered it",
		`tigerbeetle/tigerbeetle#2739: one of three nodes is killed, and answers take minutes until it is back; openark/orchestrator#358: nobody leads once one is down`},
	{WallClockLease,
		"the leader's lease ends at a time of the wall clock, so a clock that is set back, or slow, makes it longer",
		`vesoft-inc/nebula#2723: leases by the wall clock; sofastack/sofa-jraft#26, which fixed the same`},
}

// defects is the set that one agent was started with.
type defects map[string]bool

func newDefects(names []string) (defects, error) {
	set := defects{}
	for _, name := range names {
		if !slices.ContainsFunc(Defects, func(d Defect) bool { return d.Name == name }) {
			return nil, fmt.Errorf("no defect %q; there are %s", name, strings.Join(defectNames(), ", "))
		}
		set[name] = true
	}
	return set, nil
}

func defectNames() []string {
	var names []string
	for _, d := range Defects {
		names = append(names, d.Name)
	}
	return names
}

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
	AckBeforeCommit            = "ack-before-commit"
	CASCheckedByFollower       = "cas-checked-by-follower"
	ConsistentReadBeforeApply  = "consistent-read-before-apply"
	DeleteBehaviorReleases     = "delete-behavior-releases"
	DeleteTreeKeyByKey         = "delete-tree-key-by-key"
	DeposedLeaderRead          = "deposed-leader-read"
	DeposedLeaderRenews        = "deposed-leader-renews"
	DropsDeadline              = "drops-deadline"
	FollowerSkipsEntries       = "follower-skips-entries"
	ForwardLoop                = "forward-loop"
	ForwardRetryDoubles        = "forward-retry-doubles"
	ForwardsToNeighbour        = "forwards-to-neighbour"
	ForwardsToOldLeader        = "forwards-to-old-leader"
	ForwardsToOldLeaderForever = "forwards-to-old-leader-forever"
	LastContactLies            = "last-contact-lies"
	LeaksGoroutines            = "leaks-goroutines"
	ListFromFollower           = "list-from-follower"
	ListInHalves               = "list-in-halves"
	LockDelayIgnored           = "lock-delay-ignored"
	NeverPromotes              = "never-promotes"
	NoDirFsync                 = "no-dir-fsync"
	NoFsync                    = "no-fsync"
	RejoinsWithEmptyLog        = "rejoins-with-empty-log"
	ReleaseByAnyone            = "release-by-anyone"
	RestoreResetsIndex         = "restore-resets-index"
	SessionEndFreesOneKey      = "session-end-frees-one-key"
	SessionExpiryByWallClock   = "session-expiry-by-wall-clock"
	SnapshotDropsKey           = "snapshot-drops-key"
	SnapshotDropsSessions      = "snapshot-drops-sessions"
	SnapshotKeepsDeleted       = "snapshot-keeps-deleted"
	StaleFollowerRead          = "stale-follower-read"
	WaitsForEveryPeer          = "waits-for-every-peer"
	WallClockLease             = "wall-clock-lease"
	WANNeverRejoins            = "wan-never-rejoins"
	WANRetryDoubles            = "wan-retry-doubles"
	WatchIndexAfterState       = "watch-index-after-state"
	WatchMissesDeletes         = "watch-misses-deletes"
	WatchNeverWaits            = "watch-never-waits"
	WrongDCOnFailover          = "wrong-dc-on-failover"
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
	{DeleteBehaviorReleases,
		"a session with the behaviour delete releases its keys when it ends, and deletes none",
		`segmentio/consul-go#15: keys of sessions with the behaviour delete are never purged; docker-archive/classicswarm#2024: a key outlives its host by days`},
	{DeleteTreeKeyByKey,
		"the leader deletes the keys with a prefix one after the other, each by a log entry of its own",
		`krasserm/akka-persistence-cassandra#80: a range is deleted part by part, and some parts may fail; GreptimeTeam/greptimedb#2280 as it was first proposed`},
	{DeposedLeaderRead,
		"being in Raft's leader state is enough to answer a default read; no lease is checked",
		`hashicorp/consul#54, and the documented window of the default mode: a leader that was replaced and does not know it yet`},
	{DeposedLeaderRenews,
		"being in Raft's leader state is enough to renew a session; a leader that was replaced renews what its successor has ended",
		`etcd-io/etcd#15247: an old leader that is stuck goes on renewing leases, which the new one revokes`},
	{DropsDeadline,
		"a server asks one of another datacenter without saying how long it waits, gives up after a second, and says that nothing was done; the other goes on",
		`tari-project/tari#2467: the client times out, and the server goes on with the request; grpc/grpc-java#1205, what asking on without the deadline means`},
	{FollowerSkipsEntries,
		"a follower leaves out one entry in 50 when it applies its log",
		`etcd-io/etcd#13766: a member that had not applied a part of its log served other data than the rest for good, at the same raft index; #8214`},
	{ForwardLoop,
		"a server that does not lead sends what comes from another datacenter back to one, which sends it here again, however often",
		`apache/horaedb#984: nothing counts how often a request was forwarded, so nodes may forward it to each other on and on; archethic-foundation/archethic-node#931`},
	{ForwardRetryDoubles,
		"a write that failed with an indefinite error is sent again, and may take effect twice",
		`etcd-io/etcd#14890 and jepsen.io/analyses/jetcd-0.8.2: a client that retries writes of unknown fate; etcd-io/etcd#6691`},
	{ForwardsToNeighbour,
		"a follower forwards to the next server of the peer set, whoever that is, and that one forwards on",
		`ArcadeData/arcadedb#7516: what a follower forwards to another follower is forwarded again, and may go round without end`},
	{ForwardsToOldLeader,
		"a server forwards to the first leader that it has known, whoever leads by now",
		`scylladb/scylladb#30182: a cached leader is taken for forwarding although it is down; eBay/NuRaft#116: a deposed server goes on naming a leader of old`},
	{ForwardsToOldLeaderForever,
		"a server forwards to the first leader of another datacenter that it has known, whoever leads there by now",
		`hashicorp/consul#4588: requests for another datacenter go on to a server of it that was replaced; #5914, #5595`},
	{LastContactLies,
		"every answer says that its server has just heard from its leader",
		`hashicorp/consul#3285: X-Consul-LastContact makes answers of a server that is stuck seem fresher than they are`},
	{LeaksGoroutines,
		"every request that an agent forwards leaves a goroutine behind",
		`hashicorp/consul#9647: blocking queries that were given up leave goroutines and descriptors in the server; hashicorp/nomad#6620: API calls leave goroutines`},
	{ListFromFollower,
		"whatever server is asked for a default listing answers it from its own copy; reads of single keys are as they should be",
		`kubernetes/kubernetes#59848: listings that are served from a cache that is behind, so a client that asks another server goes back in time`},
	{ListInHalves,
		"a listing is read in two parts, the second a few milliseconds after the first",
		`ohdearquant/khive#1445: one answer made of two reads of different snapshots; apache/kvrocks#519, the same within one command`},
	{LockDelayIgnored,
		"a lock can be acquired as soon as the session that held it has ended, whatever its lock delay",
		`Ecwid/consul-api#161 and docker/libkv#67: sessions whose lock delay is not the one that was asked for`},
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
	{ReleaseByAnyone,
		"a lock is released for any session that asks, not only for its holder",
		`delta-io/delta-rs#440: release_lock let anyone release a lock`},
	{RestoreResetsIndex,
		"a snapshot that is restored numbers the modify indexes anew, from 1",
		`hashicorp/consul#8377, fixed in #8474: objects restored from a snapshot with other modify indexes`},
	{SessionEndFreesOneKey,
		"a session that ends frees the first of its keys, and the others stay locked for good",
		`hashicorp/consul#5205: a session is destroyed, and a lock of it is not released`},
	{SessionExpiryByWallClock,
		"the leader ends sessions at a time of the wall clock, so one that jumps ahead ends all of them, renewed or not",
		`etcd-io/etcd#6700 and #12291: leases expire by the wall clock`},
	{SnapshotDropsKey,
		"a snapshot leaves out the keys of one part in four",
		`openstack-experimental/keystone#1293 and JDRaftKeeper/RaftKeeper#240: snapshots that lack a part of what was stored`},
	{SnapshotDropsSessions,
		"a snapshot leaves out the sessions and keeps their locks, which nobody can release any more",
		`etcd-io/etcd#12651: a member that was started again has lost leases that the others have`},
	{SnapshotKeepsDeleted,
		"a snapshot still has the keys that were deleted, and they are back once it is restored",
		`tikv/raft-engine#141 and basho/bitcask#82: the mark of a deletion is lost when the log is rewritten, and the old key is there again after a restart`},
	{StaleFollowerRead,
		"a follower answers default reads from its own copy",
		`aphyr.com/posts/316, "Jepsen: etcd and Consul" (2014): etcd answered reads from the copy of any node`},
	{WaitsForEveryPeer,
		"a new leader answers no default or consistent read until every server of the peer set has answered it",
		`tigerbeetle/tigerbeetle#2739: one of three nodes is killed, and answers take minutes until it is back; openark/orchestrator#358: nobody leads once one is down`},
	{WallClockLease,
		"the leader's lease ends at a time of the wall clock, so a clock that is set back, or slow, makes it longer",
		`vesoft-inc/nebula#2723: leases by the wall clock; sofastack/sofa-jraft#26, which fixed the same`},
	{WANNeverRejoins,
		"servers that were taken for failed in the pool of all datacenters are never sought again",
		`hashicorp/consul#23709: a server that failed counts as joined, so nobody joins it again; #10429: -retry-join-wan does not retry`},
	{WANRetryDoubles,
		"a write that was forwarded to another datacenter and not answered within a second, or whose answer was lost, is sent to another server there, and may take effect twice",
		`portworx/kvdb#42: requests that fail are sent to one machine of a Consul after the other, locks and deletes too; etcd-io/etcd#14890: what retries of unknown fate do`},
	{WatchIndexAfterState,
		"a read takes the state of a key before the leader confirms that it leads, and the index of the answer after",
		`hashicorp/consul#300: a race in a blocking query between its index and its data, which then change without the index`},
	{WatchMissesDeletes,
		"a blocking query that is woken by the deletion of its key goes on waiting",
		`hashicorp/consul#213: key deletion does not unblock a watch; #195, the same of prefixes; etcd-io/etcd#19179: a watch without the event of a deletion`},
	{WatchNeverWaits,
		"a blocking query returns at once although nothing has changed since its index",
		`hashicorp/consul#1244: blocking calls that never block, and flood the servers; #5358, which tells clients to expect it`},
	{WrongDCOnFailover,
		"what is meant for a datacenter that cannot be reached is done in the server's own",
		`poppyred/python-consul2#33: requests for another datacenter that the local one answers`},
}

// skippedEntry: a follower with follower-skips-entries leaves out the entries whose index it divides.
const skippedEntry = 50

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

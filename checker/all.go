package checker

import "faultline/workloads/history"

// All returns the checkers of every run in the order of reports: the promises to clients first,
// then the rules inside the system, then whether the run is fit for a verdict. Before them stand the
// checkers of the run's workload (package workloads).
func All() []Checker {
	return []Checker{
		PerDatacenter(Checker{Name: "index", Check: checkIndex, Prefix: true, Needs: able(history.ReportsIndexes, "the system's answers have no modify index"),
			Doc: "A key's modify index never goes back, and never stands for two values."}),
		PerDatacenter(Checker{Name: "raft", Check: checkRaft, Needs: able(history.ObservesLogs, "the system's servers do not say how far their logs are"),
			Doc: "At most one leader a term, terms and commit indexes never fall, and no leader lacks what was committed before it."}),
		{Name: "hops", Check: checkHops, Needs: tellsHops,
			Doc: "Answers came the right way: from the node that was asked to the leader that it knew, through no node twice."},
		{Name: "forwarding", Check: checkForwarding, Needs: forwards, Prefix: true,
			Doc: "What one datacenter is asked of another takes effect there if anywhere, no definite error is a lie, and no stale read is surely older than it says."},
		{Name: "crashes", Check: checkCrashes,
			Doc: "No node's process ends by itself unless a fault lets it."},
		PerDatacenter(Checker{Name: "nodes", Check: checkNodes,
			Doc: "After the last heal every node that should run answers in time, and every server knows a leader."}),
		PerDatacenter(Checker{Name: "members", Check: checkMembers, Needs: tellsPeers,
			Doc: "After the last heal the peer set is the servers that should run, all voters, and nobody else, in time."}),
		{Name: "wan", Check: checkWAN, Needs: tellsWAN,
			Doc: "The pool of all datacenters has servers alone, and after the last heal all of them, as each of them sees it, in time."},
		{Name: "availability", Check: checkAvailability,
			Doc: "After the last heal, reads and writes succeed again in time: at all, at every node that clients ask, and every operation that used to."},
		PerDatacenter(Checker{Name: "progress", Check: checkProgress, Needs: outlastsBound,
			Doc: "While a majority of the servers is well, writes and reads that are asked of it succeed, whatever the rest is like."}),
		{Name: "leaks", Check: checkLeaks, Needs: tellsUsage,
			Doc: "What a node's process uses, of goroutines, descriptors and memory, does not grow without end."},
		{Name: ServiceLevelName, Check: checkServiceLevel, Needs: statesLevels,
			Doc: "Clients are served as the scenario says that they are: a share of success, latencies, where its conditions hold. It is the scenario's own word, no promise of the system."},
		{Name: "faults", Check: checkFaults,
			Doc: "Every fault that was planned took place, was measured and was healed, and the cluster was back at its baseline at the end."},
		{Name: "record", Check: checkRecord,
			Doc: "The history is whole: as it was written, from the beginning to the end, with nothing that was cut off, lost or stood still."},
		{Name: "load", Check: checkLoad,
			Doc: "Clients did enough, and during every fault, for the other verdicts to mean something."},
	}
}

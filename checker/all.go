package checker

import "slices"

// All returns all checkers in the order of reports: the promises to clients first, then the
// rules inside the system, then whether the run is fit for a verdict.
func All() []Checker {
	return []Checker{
		{Name: "linearizable", Workload: "register", Check: checkLinearizable,
			Doc: "Every key behaves as one register: each operation takes effect at one instant between its request and its answer. The search has a budget: valid and invalid never depend on it, unknown may."},
		{Name: "mutex", Workload: "lock", Check: checkMutex,
			Doc: "A lock never has two holders, by what these could know, and its fencing tokens increase."},
		{Name: "index", Check: checkIndex,
			Doc: "A key's modify index never goes back, and never stands for two values."},
		{Name: "raft", Check: checkRaft,
			Doc: "At most one leader a term, terms and commit indexes never fall, and no leader lacks what was committed before it."},
		{Name: "crashes", Check: checkCrashes,
			Doc: "No node's process ends by itself unless a fault lets it."},
		{Name: "nodes", Check: checkNodes,
			Doc: "After the last heal every node that should run answers in time, and every server knows a leader."},
		{Name: "availability", Check: checkAvailability,
			Doc: "After the last heal, reads and writes succeed again in time."},
		{Name: "faults", Check: checkFaults,
			Doc: "Every fault that was planned took place, was measured and was healed, and the cluster was back at its baseline at the end."},
		{Name: "record", Check: checkRecord,
			Doc: "The history is whole: as it was written, from the beginning to the end, with nothing that was cut off, lost or stood still."},
		{Name: "load", Check: checkLoad,
			Doc: "Clients did enough, and during every fault, for the other verdicts to mean something."},
	}
}

// For returns the checkers that can judge a run of the workload: those without a Workload, and
// those with this one. They are in the order of [All].
func For(workload string) []Checker {
	return slices.DeleteFunc(All(), func(c Checker) bool { return c.Workload != "" && c.Workload != workload })
}

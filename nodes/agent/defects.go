package agent

import (
	"fmt"
	"slices"
	"strings"
)

// Defect is a bug that can be planted, so that the harness can prove that it sees it.
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
	StaleFollowerRead         = "stale-follower-read"
)

// Defects lists all of them, sorted by name.
var Defects = []Defect{
	{AckBeforeCommit,
		"a write is answered once it is handed to Raft, before a majority has it",
		"REPORT"},
	{CASCheckedByFollower,
		"the server that is asked checks a compare-and-set against its own copy and sends the leader a plain write",
		"REPORT"},
	{ConsistentReadBeforeApply,
		"a consistent read does not wait until the new leader has applied what was committed before it led",
		"REPORT"},
	{DeposedLeaderRead,
		"being in Raft's leader state is enough to answer a default read; no lease is checked",
		"REPORT"},
	{ForwardRetryDoubles,
		"a write that failed with an indefinite error is sent again, and may take effect twice",
		"REPORT"},
	{StaleFollowerRead,
		"a follower answers default reads from its own copy",
		"REPORT"},
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

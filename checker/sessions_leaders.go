package checker

import (
	"slices"
	"sort"

	"faultline/workloads/history"
)

// leaders is who led when, as far as observations prove it. Lock delays, and when sessions run out, are no part
// of the replicated state: the leader keeps them in its memory, and who follows it counts anew.
type leaders struct {
	byNode map[string][]observation
	sure   []confirmed
	wiped  int64 // from when on disks were emptied, after which terms may fall
}

// confirmed is a term whose leader said twice that it leads; at is the second time.
type confirmed struct {
	at   int64
	term uint64
}

func leadersOf(run *Run) leaders {
	l := leaders{wiped: never}
	byNode, order, _, _, err := observationsByServer(run)
	if err != nil {
		return l
	}
	l.byNode = byNode
	for _, f := range run.Faults {
		if f.Wipes {
			l.wiped = min(l.wiped, f.Start)
		}
	}
	for _, name := range order {
		var before *observation
		for i := range byNode[name] {
			o := &byNode[name][i]
			if o.State != history.Leader {
				before = nil
				continue
			}
			if before != nil && before.Term == o.Term && o.Term > 0 {
				l.sure = append(l.sure, confirmed{o.at, o.Term})
			}
			before = o
		}
	}
	slices.SortFunc(l.sure, func(a, b confirmed) int { return int(min(1, max(-1, a.at-b.at))) })
	for i := 1; i < len(l.sure); i++ { // of those so far the highest term
		l.sure[i].term = max(l.sure[i].term, l.sure[i-1].term)
	}
	return l
}

// oneFrom reports whether it is certain that from one time to another one leader led, in one term, and
// no other had been elected.
//
// Somebody led term T before, since one answer may be torn and two are not (see checkRaft); and
// afterwards every server that ever answered says that it knows of no term beyond T. Electing another
// leader takes a majority whose terms are beyond T from then on.
func (l leaders) oneFrom(from, to int64) bool {
	n := sort.Search(len(l.sure), func(i int) bool { return l.sure[i].at > from })
	if n == 0 || l.wiped <= to+observationLag {
		return false
	}
	term := l.sure[n-1].term
	for _, seen := range l.byNode {
		i := sort.Search(len(seen), func(i int) bool { return seen[i].at >= to+observationLag })
		if i == len(seen) || seen[i].Term > term {
			return false
		}
	}
	return true
}

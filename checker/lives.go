package checker

import (
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// lives separates the lives of a node's process where the node itself does not: some
// systems report no boot ID. The starts and ends that the runtime reported, and what the nemesis
// did, bound every life. An answer near such a bound may belong to either side, since it is
// recorded some time after it was true: nothing is concluded from it.
//
//	runtime       started              ended   started
//	life     1    |-------------------|  ?        ?   |--- 2 ---
type lives struct {
	starts map[string][]int64 // of each node, when a process of it began, in order
	unsure map[string][]band  // times that may belong to either of two lives
}

func livesOf(run *Run) (lives, error) {
	l := lives{map[string][]int64{}, map[string][]band{}}
	reported, err := processEvents(run.Events)
	if err != nil {
		return l, err
	}
	for _, e := range reported {
		if e.Kind == history.ProcessStarted {
			l.starts[e.Node] = append(l.starts[e.Node], e.When)
		}
		l.unsure[e.Node] = append(l.unsure[e.Node], band{e.When, e.When + observationLag})
	}
	for _, f := range run.Faults {
		if !f.Kills && !f.Exits {
			continue
		}
		for _, node := range f.Targets {
			if len(reported) == 0 {
				l.starts[node] = append(l.starts[node], f.Start)
			}
			healed := f.Healed
			if healed != history.Pending {
				healed += observationLag
			}
			l.unsure[node] = append(l.unsure[node], band{f.Start, healed})
		}
	}
	for _, starts := range l.starts {
		slices.Sort(starts)
	}
	return l, nil
}

// at names the life to which an answer of a node at time t belongs; sure is false if it may be of two.
func (l lives) at(node string, t int64) (name string, sure bool) {
	for _, b := range l.unsure[node] {
		if b.from <= t && t <= b.to {
			return "", false
		}
	}
	n, _ := slices.BinarySearch(l.starts[node], t+1)
	return fmt.Sprintf("life %d", n), true
}

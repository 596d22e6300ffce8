package checker

import (
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// lives tells the lives of a node's process apart where the node itself does not: some
// systems tell no boot. What the runtime told of starts and ends, and what the nemesis did,
// bounds every life. An answer that came near such a bound may be of either side, since an
// answer is written down some time after it was true: of that nothing can be said.
//
//	runtime       started              ended   started
//	life     1    |-------------------|  ?        ?   |--- 2 ---
type lives struct {
	starts map[string][]int64 // of each node, when a process of it began, in order
	unsure map[string][]band  // times of which it cannot be told
}

func livesOf(run *Run) (lives, error) {
	l := lives{map[string][]int64{}, map[string][]band{}}
	told, err := processEvents(run.Events)
	if err != nil {
		return l, err
	}
	for _, e := range told {
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
			if len(told) == 0 {
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

// at names the life of a node to which what it said at a time belongs, if that can be told.
func (l lives) at(node string, t int64) (name string, sure bool) {
	for _, b := range l.unsure[node] {
		if b.from <= t && t <= b.to {
			return "", false
		}
	}
	n, _ := slices.BinarySearch(l.starts[node], t+1)
	return fmt.Sprintf("life %d", n), true
}

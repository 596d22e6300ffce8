package nemesis

import (
	"fmt"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var clock = Fault{
	Name:   "clock",
	Family: "clock",
	Doc: "The clocks of processes are wrong, from their first instruction on after every start: the wall clock is ahead or behind " +
		"(offset), gains or loses (drift, in s a s), jumps to and fro (strobe, each side for period, 1ms to 500ms); the monotonic clock gains or loses " +
		"(monotonic, in s a s) or leaps ahead (forward): it never steps back, so what it gained stays until the process ends.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Options: namesOf(clockFields),
	Needs:   []faults.Capability{faults.ClockWall, faults.ClockMonotonic},
	Kinds: []Step{
		{Clock: faults.Clock{Offset: time.Hour}},
		{Clock: faults.Clock{Offset: -time.Hour}},
		{Clock: faults.Clock{Offset: 2 * time.Second}},
		{Clock: faults.Clock{Offset: -200 * time.Millisecond}},
		{Clock: faults.Clock{Drift: 0.1}},
		{Clock: faults.Clock{Drift: -0.5}},
		{Clock: faults.Clock{Drift: 5}},
		{Clock: faults.Clock{Strobe: 10 * time.Second, Period: 100 * time.Millisecond}},
		{Clock: faults.Clock{Strobe: -time.Hour, Period: 10 * time.Millisecond}},
	},
	Suits: clockSuits,
	Nodes: processNodes,
	Edit: func(c *faults.Conditions, t topologies.Topology, s Step) {
		c.SetClock(processNodes(t, s), s.Clock)
	},
}

func clockSuits(_ topologies.Topology, s Step) error {
	if s.Clock.Healthy() && s.Clock.Period == 0 {
		return fmt.Errorf("the clock shows the truth; give at least one of %s", strings.Join(namesOf(clockFields), ", "))
	}
	return s.Clock.Check()
}

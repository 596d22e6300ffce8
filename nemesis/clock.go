package nemesis

import (
	"fmt"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Clock lets the clocks of processes show another time.
type Clock struct {
	onProcesses
	faults.Clock `yaml:",inline"`
}

func (Clock) Kind() Kind {
	return Kind{
		Name:   "clock",
		Family: "clock",
		Doc: "The clocks of processes are wrong, from their first instruction on after every start: the wall clock is ahead or behind " +
			"(offset), gains or loses (drift, in s a s), jumps to and fro (strobe, each side for period, 1ms to 500ms); the monotonic clock gains or loses " +
			"(monotonic, in s a s) or leaps ahead (forward): it never steps back, so what it gained stays until the process ends.",
		Targets: andRoles(All, Majority, Minority, One),
		Drawn:   []string{Majority, Minority, One},
		Needs:   []faults.Capability{faults.ClockWall, faults.ClockMonotonic},
	}
}

func (Clock) Samples() (all []Fault) {
	for _, state := range []faults.Clock{
		{Offset: time.Hour},
		{Offset: -time.Hour},
		{Offset: 2 * time.Second},
		{Offset: -200 * time.Millisecond},
		{Drift: 0.1},
		{Drift: -0.5},
		{Drift: 5},
		{Strobe: 10 * time.Second, Period: 100 * time.Millisecond},
		{Strobe: -time.Hour, Period: 10 * time.Millisecond},
	} {
		all = append(all, Clock{Clock: state})
	}
	return all
}

func (c Clock) Validate(topologies.Topology, Step) error {
	if c.Healthy() && c.Period == 0 {
		return fmt.Errorf("the clock shows the truth; give at least one of %s", strings.Join(OptionNames(c), ", "))
	}
	return c.Check()
}

func (c Clock) Apply(to *faults.Conditions, t topologies.Topology, s Step) {
	to.SetClock(c.Nodes(t, s), c.Clock)
}

func (c Clock) Label() string { return unlessHealthy(c.Clock) }

// unlessHealthy is what a state says of itself.
func unlessHealthy(state interface {
	Healthy() bool
	String() string
}) string {
	if state.Healthy() {
		return ""
	}
	return state.String()
}

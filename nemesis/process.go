package nemesis

import (
	"faultline/nodes/faults"
	"faultline/topologies"
)

// Kill ends processes.
type Kill struct{ onProcesses }

func (Kill) Kind() Kind {
	return Kind{
		Name:       "kill",
		Family:     "kill",
		Doc:        "Ends processes by SIGKILL and starts them again at the heal, on the same disk and address.",
		Targets:    andRoles(All, Majority, Minority, One),
		Drawn:      []string{Majority, Minority, One},
		Needs:      []faults.Capability{faults.ProcessKill},
		StopsNodes: true,
	}
}

func (Kill) Validate(topologies.Topology, Step) error { return nil }

func (k Kill) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(k.Nodes(t, s), faults.Killed)
}

// Pause stops processes.
type Pause struct{ onProcesses }

func (Pause) Kind() Kind {
	return Kind{
		Name:       "pause",
		Family:     "pause",
		Doc:        "Stops processes by SIGSTOP and continues them at the heal: their connections stay open and nobody answers.",
		Targets:    andRoles(All, Majority, Minority, One),
		Drawn:      []string{Majority, Minority, One},
		Needs:      []faults.Capability{faults.ProcessPause},
		StopsNodes: true,
	}
}

func (Pause) Validate(topologies.Topology, Step) error { return nil }

func (p Pause) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(p.Nodes(t, s), faults.Paused)
}

// onProcesses is the Nodes of faults that hit nodes one by one. Their majority is the
// larger half: enough servers to stop the rest from committing anything.
type onProcesses struct{}

func (onProcesses) Nodes(t topologies.Topology, s Step) []string {
	servers := drawn(t, s.Draw).servers
	switch s.Target.Word {
	case "":
		return s.Target.Names
	case One:
		return servers[:1]
	case Minority:
		return servers[:minorityOf(len(servers))]
	case Majority:
		return servers[:majorityOf(len(servers))]
	default: // All
		return startedNames(t)
	}
}

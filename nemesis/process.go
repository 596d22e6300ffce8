package nemesis

import (
	"faultline/nodes/faults"
	"faultline/topologies"
)

var kill = Fault{
	Name:    "kill",
	Family:  "kill",
	Doc:     "Ends processes by SIGKILL and starts them again at the heal, on the same disk and address.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Needs:   []faults.Capability{faults.ProcessKill},
	Nodes:   processNodes,
	Edit:    inState(faults.Killed),
}

var pause = Fault{
	Name:    "pause",
	Family:  "pause",
	Doc:     "Stops processes by SIGSTOP and continues them at the heal: their connections stay open and nobody answers.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Needs:   []faults.Capability{faults.ProcessPause},
	Nodes:   processNodes,
	Edit:    inState(faults.Paused),
}

// processNodes is whom a step on processes hits. Its majority is the larger half: enough
// servers to stop the rest from committing anything.
func processNodes(t topologies.Topology, s Step) []string {
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

func inState(state faults.ProcessState) func(*faults.Conditions, topologies.Topology, Step) {
	return func(c *faults.Conditions, t topologies.Topology, s Step) {
		c.SetProcess(processNodes(t, s), state)
	}
}

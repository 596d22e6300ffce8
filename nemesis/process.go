package nemesis

import (
	"faultline/nodes"
	"faultline/topologies"
)

var kill = Fault{
	Name:    "kill",
	Family:  "kill",
	Doc:     "Ends processes by SIGKILL and starts them again at the heal, on the same disk and address.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Needs:   []nodes.Capability{nodes.ProcessKill},
	Nodes:   processNodes,
	Edit:    inState(nodes.Killed),
}

var pause = Fault{
	Name:    "pause",
	Family:  "pause",
	Doc:     "Stops processes by SIGSTOP and continues them at the heal: their connections stay open and nobody answers.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Needs:   []nodes.Capability{nodes.ProcessPause},
	Nodes:   processNodes,
	Edit:    inState(nodes.Paused),
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

func inState(state nodes.Process) func(*nodes.Conditions, topologies.Topology, Step) {
	return func(c *nodes.Conditions, t topologies.Topology, s Step) {
		c.SetProcess(processNodes(t, s), state)
	}
}

package nemesis

import (
	"hash/fnv"

	"faultline/nodes"
	"faultline/topologies"
)

var powerLoss = Fault{
	Name:   "power-loss",
	Family: "power",
	Doc: "Machines lose their power: processes end, and what their disks had not been told to keep is lost (torn: some of " +
		"the last writes arrive, others do not); at the heal they start again.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Seeded:  true,
	Options: []string{"torn"},
	Needs:   []nodes.Capability{nodes.ProcessOff},
	Nodes:   processNodes,
	Edit:    powerOff,
}

func powerOff(c *nodes.Conditions, t topologies.Topology, s Step) {
	hit := processNodes(t, s)
	c.SetProcess(hit, nodes.Off)
	if !s.Torn {
		return
	}
	for _, node := range hit {
		c.SetDisk([]string{node}, nodes.DiskState{Torn: tornSeed(node, s.Draw)})
	}
}

// tornSeed gives every disk random numbers of its own; 0 would tear nothing.
func tornSeed(node string, draw uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(node)) // never fails
	return (h.Sum64() ^ draw*0x9e3779b97f4a7c15) | 1
}

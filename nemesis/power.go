package nemesis

import (
	"fmt"
	"hash/fnv"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var powerLoss = Fault{
	Name:   "power-loss",
	Family: "power",
	Doc: "Machines lose their power: processes end, and what their disks had not been told to keep is lost (torn: some of " +
		"the last writes arrive, others do not); at the heal they start again. Names of files are lost as far as ext4, XFS or btrfs may lose them " +
		"(names: journaled), or whenever their directory was not synced, as POSIX allows (names: posix).",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Seeded:  true,
	Options: []string{"torn", "names"},
	Needs:   []faults.Capability{faults.ProcessOff},
	Suits:   powerSuits,
	Nodes:   processNodes,
	Edit:    powerOff,
}

// takenNames is which names a step's loss of power takes.
var takenNames = map[string]faults.Names{
	"": faults.NamesJournaled, faults.NamesJournaled.String(): faults.NamesJournaled, faults.NamesPOSIX.String(): faults.NamesPOSIX}

func powerSuits(_ topologies.Topology, s Step) error {
	if _, ok := takenNames[s.Names]; !ok {
		return fmt.Errorf("names is %q, not %s or %s", s.Names, faults.NamesJournaled, faults.NamesPOSIX)
	}
	return nil
}

func powerOff(c *faults.Conditions, t topologies.Topology, s Step) {
	hit := processNodes(t, s)
	c.SetProcess(hit, faults.PoweredOff)
	if names := takenNames[s.Names]; names != faults.NamesJournaled {
		c.SetDisk(hit, faults.Disk{Names: names})
	}
	if !s.Torn {
		return
	}
	for _, node := range hit {
		c.SetDisk([]string{node}, faults.Disk{Torn: tornSeed(node, s.Draw)})
	}
}

// tornSeed gives every disk random numbers of its own; 0 would tear nothing.
func tornSeed(node string, draw uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(node)) // never fails
	return (h.Sum64() ^ draw*0x9e3779b97f4a7c15) | 1
}

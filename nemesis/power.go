package nemesis

import (
	"fmt"
	"hash/fnv"
	"strings"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// PowerLoss ends processes as if their machines lost power.
type PowerLoss struct {
	onProcesses
	Torn  bool   `yaml:"torn,omitempty"`  // tear what was not synced instead of losing all of it
	Names string `yaml:"names,omitempty"` // which names it takes, journaled (also if empty) or posix
}

func (PowerLoss) Kind() Kind {
	return Kind{
		Name:   "power-loss",
		Family: "power",
		Doc: "Machines lose their power: processes end, and what their disks had not been told to keep is lost (torn: some of " +
			"the last writes arrive, others do not); at the heal they start again. Names of files are lost as far as ext4, XFS or btrfs may lose them " +
			"(names: journaled), or whenever their directory was not synced, as POSIX allows (names: posix).",
		Targets:    andRoles(All, Majority, Minority, One),
		Drawn:      []string{Majority, Minority, One},
		Seeded:     true,
		StopsNodes: true,
		Needs:      []faults.Capability{faults.ProcessOff},
	}
}

// takenNames is which names a loss of power takes.
var takenNames = map[string]faults.Names{
	"": faults.NamesJournaled, faults.NamesJournaled.String(): faults.NamesJournaled, faults.NamesPOSIX.String(): faults.NamesPOSIX}

func (p PowerLoss) Validate(topologies.Topology, Step) error {
	if _, ok := takenNames[p.Names]; !ok {
		return fmt.Errorf("names is %q, not %s or %s", p.Names, faults.NamesJournaled, faults.NamesPOSIX)
	}
	return nil
}

func (p PowerLoss) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	targets := p.Nodes(t, s)
	c.SetProcess(targets, faults.PoweredOff)
	if names := takenNames[p.Names]; names != faults.NamesJournaled {
		c.SetDisk(targets, faults.Disk{Names: names})
	}
	if !p.Torn {
		return
	}
	for _, node := range targets {
		c.SetDisk([]string{node}, faults.Disk{Torn: tornSeed(node, s.Draw)})
	}
}

func (p PowerLoss) Label() string {
	var words []string
	if p.Torn {
		words = append(words, "torn")
	}
	if p.Names != "" {
		words = append(words, "names "+p.Names)
	}
	return strings.Join(words, " ")
}

// tornSeed gives every disk random numbers of its own; 0 would tear nothing.
func tornSeed(node string, draw uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(node)) // never fails
	return (h.Sum64() ^ draw*0x9e3779b97f4a7c15) | 1
}

package nemesis

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var disk = Fault{
	Name:   "disk",
	Family: "disk",
	Doc: "The disk of a node's data fails: fsync takes longer (slow-fsync), fails (failing-fsync) or lies (lying-fsync: it answers and makes " +
		"nothing durable before the heal; no system survives that and a loss of power), reads or writes fail with EIO (failing-reads, failing-writes), no space is left (full). " +
		"A node that ends its process over it is started again at the heal.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Options: namesOf(diskFields),
	Needs:   []faults.Capability{faults.DiskSync, faults.DiskFull, faults.DiskError},
	Kinds: []Step{
		{Disk: faults.Disk{SlowSync: 20 * time.Millisecond}},
		{Disk: faults.Disk{SlowSync: 200 * time.Millisecond}},
		{Disk: faults.Disk{FailSync: true}},
		{Disk: faults.Disk{FailWrite: true}},
		{Disk: faults.Disk{Full: true}},
	},
	Suits: diskSuits,
	Nodes: processNodes,
	Edit: func(c *faults.Conditions, t topologies.Topology, s Step) {
		c.SetDisk(processNodes(t, s), s.Disk)
	},
}

func diskSuits(_ topologies.Topology, s Step) error {
	if s.Disk.Healthy() {
		return fmt.Errorf("the disk does as it should; give at least one of %s", strings.Join(namesOf(diskFields), ", "))
	}
	return s.Disk.Check()
}

var bitFlip = damage("bit-flip", faults.BitFlip,
	"Ends processes, flips one bit in one file of each one's data (file: a pattern from the data directory) and starts them on that; "+
		"a node that does not run so is down until the heal, which flips the bit back.")

var truncate = damage("truncate", faults.Truncate,
	"Ends processes, cuts the end off one file of each one's data (file: a pattern from the data directory) and starts them on that; "+
		"the heal brings the end back, if the node has not written to the file since.")

func damage(name string, kind faults.DamageKind, doc string) Fault {
	return Fault{
		Name:    name,
		Family:  "disk",
		Doc:     doc,
		Targets: []string{Minority, One, Primary},
		Drawn:   []string{Minority, One, Primary},
		Seeded:  true,
		Options: []string{"file"},
		Needs:   []faults.Capability{faults.DiskDamage},
		Suits: func(_ topologies.Topology, s Step) error {
			if s.File == "" {
				return errors.New("file is missing: a pattern from the data directory, such as raft/*")
			}
			return nil
		},
		Nodes: processNodes,
		Edit: func(c *faults.Conditions, t topologies.Topology, s Step) {
			c.SetDisk(processNodes(t, s), faults.Disk{Damages: []faults.Damage{{Kind: kind, File: s.File, Draw: s.Draw}}})
		},
	}
}

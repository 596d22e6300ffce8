package nemesis

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Disk lets the disks of nodes' data be slow, full, or fail.
type Disk struct {
	onProcesses
	faults.Disk `yaml:",inline"`
}

func (Disk) Kind() Kind {
	return Kind{
		Name:   "disk",
		Family: "disk",
		Doc: "The disk of a node's data fails: reads and writes take longer (slow-io), fsync does (slow-fsync), fails (failing-fsync) or lies (lying-fsync: it answers and makes " +
			"nothing durable before the heal; no system survives that and a loss of power), reads or writes fail with EIO (failing-reads, failing-writes), no space is left (full). " +
			"A node that ends its process over it is started again at the heal.",
		Targets: andRoles(All, Majority, Minority, One),
		Drawn:   []string{Majority, Minority, One},
		Needs:   []faults.Capability{faults.DiskSync, faults.DiskSlow, faults.DiskFull, faults.DiskError},
	}
}

func (Disk) Samples() (all []Fault) {
	for _, state := range []faults.Disk{
		{SlowSync: 20 * time.Millisecond},
		{SlowSync: 200 * time.Millisecond},
		{SlowIO: 20 * time.Millisecond},
		{FailSync: true},
		{FailWrite: true},
		{Full: true},
	} {
		all = append(all, Disk{Disk: state})
	}
	return all
}

func (d Disk) Validate(topologies.Topology, Step) error {
	if d.Healthy() {
		return fmt.Errorf("the disk does as it should; give at least one of %s", strings.Join(OptionNames(d), ", "))
	}
	return d.Check()
}

func (d Disk) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetDisk(d.Nodes(t, s), d.Disk)
}

func (d Disk) Label() string { return unlessHealthy(d.Disk) }

// BitFlip flips a bit in a file of a node's data.
type BitFlip struct{ damage }

func (BitFlip) Kind() Kind {
	return damageKind("bit-flip", "Ends processes, flips one bit in one file of each one's data (file: a pattern from the data directory) and starts them on that; "+
		"a node that does not run so is down until the heal, which flips the bit back.")
}

func (b BitFlip) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	b.apply(c, t, s, faults.BitFlip)
}

// Truncate cuts the end off a file of a node's data.
type Truncate struct{ damage }

func (Truncate) Kind() Kind {
	return damageKind("truncate", "Ends processes, cuts the end off one file of each one's data (file: a pattern from the data directory) and starts them on that; "+
		"the heal brings the end back, if the node has not written to the file since.")
}

func (tr Truncate) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	tr.apply(c, t, s, faults.Truncate)
}

// damage is what bit-flip and truncate have in common.
type damage struct {
	onProcesses
	File string `yaml:"file,omitempty" want:"a pattern from the data directory such as raft/*"`
}

func damageKind(name, doc string) Kind {
	return Kind{
		Name:    name,
		Family:  "disk",
		Doc:     doc,
		Targets: andRoles(Minority, One),
		Drawn:   []string{Minority, One, Primary},
		Seeded:  true,
		Needs:   []faults.Capability{faults.DiskDamage},
	}
}

func (d damage) Validate(topologies.Topology, Step) error {
	if d.File == "" {
		return errors.New("file is missing: a pattern from the data directory, such as raft/*")
	}
	if _, err := path.Match(d.File, ""); err != nil || !filepath.IsLocal(d.File) {
		return fmt.Errorf("file is %q: want a pattern from the data directory, such as raft/*", d.File)
	}
	return nil
}

func (d damage) apply(c *faults.Conditions, t topologies.Topology, s Step, kind faults.DamageKind) {
	c.SetDisk(d.Nodes(t, s), faults.Disk{Damages: []faults.Damage{{Kind: kind, File: d.File, Draw: s.Draw}}})
}

func (d damage) Label() string { return d.File }

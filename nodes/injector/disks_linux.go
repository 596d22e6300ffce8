package injector

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"faultline/nodes/faults"
	"faultline/nodes/injector/disk"
)

// disks is the disk of the node's data: a file system that can fail, over the directory.
type disks struct {
	disk  *disk.Disk
	dir   string
	apart bool   // the node has a mount namespace of its own
	done  []harm // in the order in which they were done
	loss  int64  // bytes that the last loss of power took
	names string // by which model it took names, or faults.NamesUntold
	lost  bool   // since the last loss of power nothing has been written
}

// harm is a damage that is there.
type harm struct {
	asked faults.Damage
	done  disk.Damaged
}

// ProbeCommand makes this program the client of a pod's disk: see package disk.
const ProbeCommand = "probe"

// openDisks puts the file system before the directory. Where the node shares this process's
// mount namespace it meets it from now on, else from its next enter on.
func openDisks(dir string, apart bool) (*disks, error) {
	d, err := disk.New(dir, []string{"injector", ProbeCommand})
	if err != nil {
		return nil, err
	}
	if !apart {
		if err := d.Mount(dir); err != nil {
			return nil, fmt.Errorf("%w (closing: %v)", err, d.Close())
		}
	}
	return &disks{disk: d, dir: dir, apart: apart}, nil
}

// enter puts the file system before the directory of a process that has a mount namespace of
// its own.
func (d *disks) enter(pid int) error {
	if !d.apart {
		return nil
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return fmt.Errorf("the node's mount namespace: %w", err)
	}
	defer namespace.Close()
	return d.disk.Attach(int(namespace.Fd()), d.dir)
}

var harms = map[faults.DamageKind]disk.Harm{faults.BitFlip: disk.FlipBit, faults.Truncate: disk.Truncate}

// has reports whether a damage is there.
func (d *disks) has(one faults.Damage) bool {
	return slices.ContainsFunc(d.done, func(h harm) bool { return h.asked == one })
}

// damagedAs reports whether files are damaged as asked, and no others.
func (d *disks) damagedAs(want []faults.Damage) bool {
	lacks := slices.ContainsFunc(want, func(one faults.Damage) bool { return !d.has(one) })
	return !lacks && !slices.ContainsFunc(d.done, func(h harm) bool { return !slices.Contains(want, h.asked) })
}

// damage brings files to be damaged as asked, and no others. The node must not run. A file
// that the node has written over since is left as it is.
func (d *disks) damage(want []faults.Damage) error {
	if err := d.mend(want); err != nil {
		return err
	}
	for _, one := range want {
		if d.has(one) {
			continue
		}
		done, err := d.disk.Damage(disk.Damage{Pattern: one.File, Harm: harms[one.Kind], Seed: one.Draw})
		if err != nil {
			return err
		}
		d.done = append(d.done, harm{one, done})
	}
	return nil
}

// mend takes back what is not wanted any more. A later damage may lie over it (a bit was
// flipped in what was then cut off), so the later ones are taken back before it, the last one
// first; whoever still wants one of those has it done again.
func (d *disks) mend(want []faults.Damage) error {
	first := slices.IndexFunc(d.done, func(h harm) bool { return !slices.Contains(want, h.asked) })
	if first < 0 {
		return nil
	}
	for last := len(d.done) - 1; last >= first; last-- {
		if _, err := d.disk.Repair(d.done[last].done); err != nil {
			return err
		}
		d.done = d.done[:last]
	}
	return nil
}

func damaged(d disk.Damaged) faults.DamageMeasurement {
	if d.Harm == disk.Truncate {
		return faults.DamageMeasurement{Kind: faults.Truncate, File: d.File, What: fmt.Sprintf("cut from %d to %d bytes", d.OldSize, d.NewSize)}
	}
	return faults.DamageMeasurement{Kind: faults.BitFlip, File: d.File, What: fmt.Sprintf("with bit %d of byte %d flipped", d.Bit, d.Offset)}
}

// powerLoss takes what is not durable. The node must not run. Nothing is lost twice.
func (d *disks) powerLoss(torn uint64, names faults.Names) error {
	if d.lost && d.clean() {
		return nil
	}
	unsynced, _ := d.disk.Unsynced()
	loss, err := d.disk.PowerLoss(torn, names)
	if err != nil {
		return err
	}
	taken, err := lossSeen(loss.Canary, names, d.disk.State())
	if err != nil {
		return err
	}
	d.loss, d.names, d.lost = unsynced, taken, true
	return nil
}

// lossSeen is by which model names were seen to be taken by a loss of power, from what became of files that were
// written just before it: faults.NamesUntold on a disk that fails otherwise too. The error says that it was no loss of power, or not the
// one that was asked for.
func lossSeen(c disk.Canary, asked faults.Names, s faults.Disk) (string, error) {
	untold := s.Lie || s.FailSync || s.FailWrite || s.Full
	switch {
	case c.Failed != "" && !untold:
		return "", fmt.Errorf("the files that a loss of power should take could not be written: %s", c.Failed)
	case c.Failed != "":
		return faults.NamesUntold, nil
	case !c.Lost:
		return "", fmt.Errorf("what was written and never synced outlasted the loss of power")
	case untold:
		return faults.NamesUntold, nil
	case !c.Synced:
		return "", fmt.Errorf("what was synced did not outlast the loss of power")
	}
	seen := map[bool]faults.Names{true: faults.NamesJournaled, false: faults.NamesPOSIX}[c.Named]
	if seen != asked {
		return "", fmt.Errorf("of a file that was synced, and its directory was not, the name was treated as %s, not as %s", seen, asked)
	}
	return seen.String(), nil
}

func (d *disks) clean() bool {
	_, operations := d.disk.Unsynced()
	return operations == 0
}

func (d *disks) report() (*faults.DiskMeasurement, error) {
	unsynced, _ := d.disk.Unsynced()
	seen, err := d.disk.Probe()
	if err != nil {
		return nil, err
	}
	r := &faults.DiskMeasurement{Tried: true, ReadTook: seen.ReadTook, WriteTook: seen.WriteTook, Create: seen.Create, Write: seen.Write, Sync: seen.Sync, Read: seen.Read, SyncTook: seen.SyncTook, PlainTook: seen.PlainTook,
		Kept: seen.Durable, Unsynced: unsynced, Lost: d.loss, LostBy: d.names}
	for _, h := range d.done {
		r.Damaged = append(r.Damaged, damaged(h.done))
	}
	slices.SortFunc(r.Damaged, func(a, b faults.DamageMeasurement) int { return strings.Compare(a.File+a.What, b.File+b.What) })
	return r, nil
}

package injector

import (
	"fmt"
	"os"
	"slices"

	"faultline/nodes/injector/disk"
)

// disks is the disk of the node's data: a file system that can fail, over the directory.
type disks struct {
	disk    *disk.Disk
	dir     string
	apart   bool // the node has a mount namespace of its own
	damages []Damage
	loss    disk.Loss // the last
	lost    bool      // since the last loss of power nothing has been written
}

// Damage is one file that is not what the node wrote.
type Damage struct {
	Kind string `json:"kind"` // BitFlip or Truncate
	File string `json:"file"` // a pattern of path.Match, from the data directory
	Draw uint64 `json:"draw"`
}

// The kinds of Damage.
const (
	BitFlip  = "bit-flip"
	Truncate = "truncate"
)

func (d Damage) check() error {
	if d.Kind != BitFlip && d.Kind != Truncate {
		return fmt.Errorf("damage %q: want %s or %s", d.Kind, BitFlip, Truncate)
	}
	return nil
}

// DiskReport is what a disk was seen to do.
type DiskReport struct {
	Seen     disk.Seen `json:"seen"`
	Unsynced int64     `json:"unsynced"` // bytes that a loss of power would take
	Lost     int64     `json:"lost"`     // bytes that the last one took
	Damaged  []string  `json:"damaged,omitempty"`
}

// openDisks puts the file system before the directory. Where the node shares this process's
// mount namespace it meets it from now on, else from its next enter on.
func openDisks(dir string, apart bool) (*disks, error) {
	d, err := disk.New(dir)
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

// damage brings files to be damaged as asked, and no others. The node must not run.
func (d *disks) damage(want []Damage) error {
	if slices.Equal(d.damages, want) {
		return nil
	}
	if err := d.disk.Repair(); err != nil {
		return err
	}
	d.damages = nil
	for _, one := range want {
		if err := d.disk.Damage(one.Kind, one.File, one.Draw); err != nil {
			return err
		}
		d.damages = append(d.damages, one)
	}
	return nil
}

// powerLoss takes what is not durable. The node must not run. Nothing is lost twice.
func (d *disks) powerLoss(torn uint64) error {
	if d.lost && d.clean() {
		return nil
	}
	loss, err := d.disk.PowerLoss(torn)
	if err != nil {
		return err
	}
	switch c := loss.Canary; {
	case c.Failed != "": // the disk fails otherwise too: there is nothing to be told from a file
	case !c.Lost:
		return fmt.Errorf("what was written and never synced outlasted the loss of power")
	case !c.Synced && !d.disk.State().Lie && !d.disk.State().FailSync:
		return fmt.Errorf("what was synced did not outlast the loss of power")
	}
	d.loss, d.lost = loss, true
	return nil
}

func (d *disks) clean() bool {
	_, operations := d.disk.Unsynced()
	return operations == 0
}

func (d *disks) report() (*DiskReport, error) {
	unsynced, _ := d.disk.Unsynced()
	seen, err := d.disk.Probe()
	if err != nil {
		return nil, err
	}
	return &DiskReport{Seen: seen, Unsynced: unsynced, Lost: d.loss.Bytes, Damaged: d.disk.Damaged()}, nil
}

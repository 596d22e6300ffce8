//go:build linux

package disk

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"faultline/nodes/faults"
)

// Loss is what a power loss took.
type Loss struct {
	Bytes      int64    `json:"bytes"`      // written and not synced; with torn writes not all of them are gone
	Operations int      `json:"operations"` // writes, truncations and names
	Files      []string `json:"files"`      // whose content went back, as they were called; by first change
	Canary     Canary   `json:"canary"`
}

// Unsynced is what a power loss would take now: bytes written (twice if written twice), and
// operations: writes, truncations and names (by the model that takes more). Of a file that has too much to remember only the names count.
func (d *Disk) Unsynced() (bytes int64, operations int) {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unsynced()
}

func (d *Disk) unsynced() (bytes int64, operations int) {
	for _, n := range d.byID {
		operations += max(len(n.names), len(n.journal))
		if n.data == nil {
			continue
		}
		operations += len(n.data.writes)
		for _, w := range n.data.writes {
			if w.size != allExtents {
				bytes += w.size
			}
		}
	}
	return bytes, operations
}

// PowerLoss takes back what was not made durable. It is for when the node is dead; files that are
// open nevertheless are dead afterwards: they answer EIO to all but close. With torn 0 all
// that is unsynced is lost. Otherwise torn seeds what of the last writes reached the disk:
// see the package doc, also of names. The state stays what it was. With ErrForgotten what could be
// taken back was.
func (d *Disk) PowerLoss(torn uint64, names faults.Names) (Loss, error) {
	if err := names.Check(); err != nil {
		return Loss{}, err
	}
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return Loss{}, ErrClosed
	}
	failed, err := d.releaseCanary()
	if err != nil {
		return Loss{}, fmt.Errorf("disk: power loss: %w", err)
	}
	loss, err := d.rollBack(torn, names)
	d.dropCaches()
	var found error
	loss.Canary, found = d.findCanary(failed)
	if err := errors.Join(err, found); err != nil {
		return loss, fmt.Errorf("disk: power loss: %w", err)
	}
	return loss, nil
}

func (d *Disk) rollBack(torn uint64, names faults.Names) (loss Loss, err error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.handles {
		h.die()
	}
	loss.Bytes, loss.Operations = d.unsynced()
	var changed []*inode
	for _, n := range d.byID {
		if n.data != nil {
			changed = append(changed, n)
		}
	}
	slices.SortFunc(changed, func(a, b *inode) int { return cmp.Compare(a.data.number, b.data.number) })
	var first uint64
	for i, n := range changed {
		if i == 0 {
			first = n.data.number
		}
		loss.Files = append(loss.Files, d.path(n))
		err = errors.Join(err, d.restore(n, diceOf(torn, n.data.number-first)))
	}
	return loss, errors.Join(err, d.restoreNames(names))
}

// dropCaches makes the kernel forget the content of all files. The caller holds none of the locks
// that calls of the node take, since the kernel may have to write or wait for a read.
func (d *Disk) dropCaches() {
	d.mu.Lock()
	var ids []uint64
	for id := range d.byID {
		ids = append(ids, id)
	}
	d.mu.Unlock()
	for _, id := range ids {
		d.conn.server.InodeNotify(id, 0, 0) // ENOENT: the kernel does not have it
	}
}

// Wipe empties the backing directory, as if the disk had been replaced; the node is dead. It
// leaves nothing that is unsynced.
func (d *Disk) Wipe() error {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return ErrClosed
	}
	if err := d.wipe(); err != nil {
		return fmt.Errorf("disk: wipe: %w", err)
	}
	d.dropCaches()
	return nil
}

func (d *Disk) wipe() error {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.handles {
		h.die()
	}
	for _, n := range d.byID {
		if n.data != nil {
			d.memory.Add(-n.data.cost())
			n.data = nil
		}
	}
	err := d.forgetAllNames()
	entries, e := d.list(d.root)
	err = errors.Join(err, e)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(d.backing(entry.Name)))
	}
	for _, n := range d.byID {
		d.release(n)
	}
	return err
}

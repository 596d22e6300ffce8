//go:build linux

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// keepNames makes all names of the journal durable as they are. The caller holds mu.
func (d *Disk) keepNames() {
	var places []place
	for _, dir := range d.byID {
		for name := range dir.journal {
			places = append(places, place{dir, name})
		}
	}
	for _, p := range places {
		d.dropEntry(p)
	}
}

// changed is what the changed names of a directory led to when they were last durable, by one of the models.
func (n *inode) changed(by faults.Names) map[string]*inode {
	if by == faults.NamesPOSIX {
		return n.names
	}
	names := map[string]*inode{}
	for name, e := range n.journal {
		names[name] = e.old
	}
	return names
}

// restoreNames brings all names back to what they were when last durable by one of the models, which is then what is
// durable by both. First all that
// stands at a changed name and does not belong there goes to keptDir, so that nothing is in
// the way of anything; then what belongs there comes from keptDir. Directories are reached
// by descriptors, so it does not matter where they are meanwhile. The caller holds gate and mu.
func (d *Disk) restoreNames(by faults.Names) error {
	changed := map[*inode]map[string]*inode{}
	for _, n := range d.byID {
		if names := n.changed(by); len(names) > 0 {
			changed[n] = names
		}
	}
	var err error
	for dir, names := range changed {
		for name, old := range names {
			err = errors.Join(err, d.clearName(dir, name, old))
		}
	}
	for dir, names := range changed {
		for name, old := range names {
			err = errors.Join(err, d.placeName(dir, name, old))
		}
	}
	return errors.Join(err, d.forgetAllNames())
}

// forgetAllNames makes what names lead to now durable by both models, and releases what was kept for them.
func (d *Disk) forgetAllNames() error {
	for _, n := range d.byID {
		n.names, n.group, n.journal, n.pins, n.gone = nil, nil, nil, 0, false
	}
	clear(d.places)
	err := d.emptyKept()
	for _, n := range d.byID {
		d.release(n)
	}
	return err
}

// clearName moves away what is not the durable one.
func (d *Disk) clearName(dir *inode, name string, old *inode) error {
	n, _, err := d.find(dir, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("%s in %s: %w", name, d.path(dir), err)
	case n == old:
		return nil
	case n.isDir():
		return d.bury(n, dir, name)
	}
	defer d.release(n)
	return unix.Unlinkat(dir.fd, name, 0)
}

// placeName puts the durable one where it was.
func (d *Disk) placeName(dir *inode, name string, old *inode) error {
	if old == nil {
		return nil
	}
	if n, _, err := d.find(dir, name); err == nil && n == old {
		return nil
	}
	var err error
	if old.isDir() {
		err = unix.Renameat(d.kept, old.keptName(), dir.fd, name)
	} else {
		err = unix.Linkat(d.kept, old.keptName(), dir.fd, name, 0)
	}
	if err != nil {
		return fmt.Errorf("%s in %s: %w", name, d.path(dir), err)
	}
	return nil
}

// emptyKept removes all that nobody wanted back.
func (d *Disk) emptyKept() error {
	entries, err := os.ReadDir(d.backing(keptDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(d.backing(filepath.Join(keptDir, e.Name()))))
	}
	return err
}

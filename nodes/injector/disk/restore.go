//go:build linux

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// restoreNames brings all names back to what they were when last durable. First all that
// stands at a changed name and does not belong there goes to keptDir, so that nothing is in
// the way of anything; then what belongs there comes from keptDir. Directories are reached
// by descriptors, so it does not matter where they are meanwhile. The caller holds gate and mu.
func (d *Disk) restoreNames() error {
	var dirs []*inode
	for _, n := range d.byID {
		if n.names != nil {
			dirs = append(dirs, n)
		}
	}
	var err error
	for _, dir := range dirs {
		for name, old := range dir.names {
			err = errors.Join(err, d.clearName(dir, name, old))
		}
	}
	for _, dir := range dirs {
		for name, old := range dir.names {
			err = errors.Join(err, d.placeName(dir, name, old))
		}
	}
	for _, dir := range dirs {
		for _, old := range dir.names {
			if old != nil {
				old.pins--
			}
		}
	}
	err = errors.Join(err, d.emptyKept())
	for _, n := range d.byID {
		n.names, n.group, n.gone = nil, nil, false
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

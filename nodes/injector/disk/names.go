//go:build linux

package disk

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// group is directories whose changed names become durable together: a rename from one to another
// ties them, as it is wholly durable or not at all.
type group struct{ dirs map[*inode]bool }

// touch is called before a name is changed: it keeps what the name leads to, if that is durable, by each of the two models.
// The answer takes that back, for a change that failed. The caller holds mu.
func (d *Disk) touch(dir *inode, name string) (undo func(), err error) {
	_, touched := dir.names[name]
	_, noted := dir.journal[name]
	if touched && noted {
		return func() {}, nil
	}
	n, _, err := d.find(dir, name)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	for _, known := range []bool{touched, noted} {
		if known || n == nil {
			continue
		}
		if err := d.pin(n, dir, name); err != nil { // of two only the first can fail
			d.release(n)
			return nil, err
		}
	}
	if !touched {
		if dir.names == nil {
			dir.names = map[string]*inode{}
		}
		if dir.group == nil {
			dir.group = &group{map[*inode]bool{dir: true}}
		}
		dir.names[name] = n
	}
	if !noted {
		d.note(place{dir, name}, n)
	}
	return func() {
		if !touched {
			d.untouch(dir, name)
		}
		if !noted {
			d.dropEntry(place{dir, name})
		}
	}, nil
}

// untouch says that a name is what it was. A directory without changed names stays in its group.
func (d *Disk) untouch(dir *inode, name string) {
	n := dir.names[name]
	delete(dir.names, name)
	if n != nil {
		d.unpin(n)
	}
}

// pin keeps an inode until it is unpinned as often: a file by a link in keptDir.
func (d *Disk) pin(n, dir *inode, name string) error {
	if n.pins == 0 && !n.isDir() {
		if err := unix.Linkat(dir.fd, name, d.kept, n.keptName(), 0); err != nil {
			return err
		}
	}
	n.pins++
	return nil
}

func (d *Disk) unpin(n *inode) {
	n.pins--
	if n.pins > 0 {
		return
	}
	switch {
	case !n.isDir():
		unix.Unlinkat(d.kept, n.keptName(), 0) // what stays is removed by Close, Wipe or New
	case n.gone:
		d.forgetNames(n)
		os.RemoveAll(d.backing(filepath.Join(keptDir, n.keptName())))
	}
	d.release(n)
}

// forgetNames is for a directory that is really removed, whose names cannot come back.
func (d *Disk) forgetNames(dir *inode) {
	for name := range dir.journal {
		d.dropEntry(place{dir, name})
	}
	if dir.group == nil {
		return
	}
	delete(dir.group.dirs, dir)
	names := dir.names
	dir.names, dir.group = nil, nil
	for _, n := range names {
		if n != nil {
			d.unpin(n)
		}
	}
}

// settle makes the names of a directory, and of those tied to it, durable by POSIX. The caller holds mu.
func (d *Disk) settle(dir *inode) {
	if dir.group == nil {
		return
	}
	dirs := dir.group.dirs
	var unpin []*inode
	for dir := range dirs {
		for _, n := range dir.names {
			if n != nil {
				unpin = append(unpin, n)
			}
		}
		dir.names, dir.group = nil, nil
	}
	for _, n := range unpin {
		d.unpin(n)
	}
	for dir := range dirs {
		d.release(dir)
	}
}

// tie joins the groups of two directories between which something is renamed, and those of the
// directories above the second: it would be hard on the node to lose what it moved because
// the new parent's own name was not durable yet.
func (d *Disk) tie(from, to *inode) error {
	all := from.group
	for dir := to; ; {
		switch dir.group {
		case all:
		case nil:
			dir.group, all.dirs[dir] = all, true
		default:
			for other := range dir.group.dirs {
				other.group, all.dirs[other] = all, true
			}
		}
		if dir == d.root {
			return nil
		}
		above, err := d.parent(dir)
		if err != nil {
			return err
		}
		dir = above
	}
}

// parent is the directory above one that is not the root. Where the file system is mounted over the backing directory itself, ".." leads
// from what is in there to the mount, of which nothing may be asked here: the answer is ours to give.
func (d *Disk) parent(dir *inode) (*inode, error) {
	fd, err := unix.Openat(dir.fd, "..", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st); err != nil {
		return nil, err
	}
	if unix.Mkdev(st.Dev_major, st.Dev_minor) != d.root.dev {
		return d.root, nil
	}
	n, _, err := d.find(dir, "..")
	return n, err
}

// bury takes a removed directory, empty and durable, to keptDir.
func (d *Disk) bury(n, dir *inode, name string) error {
	if err := unix.Renameat(dir.fd, name, d.kept, n.keptName()); err != nil {
		return err
	}
	n.gone = true
	return nil
}

// empty reports whether a directory has no names.
func (d *Disk) empty(n *inode) (bool, error) {
	entries, err := d.list(n)
	return len(entries) == 0, err
}

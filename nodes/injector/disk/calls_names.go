//go:build linux

package disk

import (
	"errors"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// change is a call that changes a name of the directory id: it runs do with the name's durable
// state kept. The caller holds mu.
func (f *filesystem) change(id uint64, name string, needsSpace bool, do func(dir *inode) error) fuse.Status {
	dir, code := f.d.node(id)
	switch {
	case !code.Ok():
		return code
	case f.d.reserved(dir, name):
		return fuse.EPERM
	case dir.gone:
		return fuse.ENOENT
	case needsSpace && f.d.State().Full:
		return fuse.Status(unix.ENOSPC)
	}
	undo, err := f.d.touch(dir, name)
	if err != nil {
		return status(err)
	}
	if err := do(dir); err != nil {
		undo()
		return status(err)
	}
	return status(f.d.landed(place{dir, name}))
}

// make creates something new, belonging to the caller, and answers with it.
func (f *filesystem) make(header *fuse.InHeader, name string, out *fuse.EntryOut, do func(dir *inode) error) fuse.Status {
	return f.change(header.NodeId, name, true, func(dir *inode) error {
		if err := do(dir); err != nil {
			return err
		}
		if os.Geteuid() != int(header.Uid) || os.Getegid() != int(header.Gid) {
			if err := unix.Fchownat(dir.fd, name, int(header.Uid), int(header.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return errors.Join(err, f.d.remove(dir, name))
			}
		}
		if code := f.entry(dir, name, out); !code.Ok() {
			return syscall.Errno(code)
		}
		return nil
	})
}

// remove takes back what make has just made.
func (d *Disk) remove(dir *inode, name string) error {
	err := unix.Unlinkat(dir.fd, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR)
	}
	return err
}

func (f *filesystem) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	defer f.enterNames()()
	return f.make(&in.InHeader, name, out, func(dir *inode) error {
		return unix.Mknodat(dir.fd, name, in.Mode, int(in.Rdev))
	})
}

func (f *filesystem) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	defer f.enterNames()()
	return f.make(&in.InHeader, name, out, func(dir *inode) error {
		return unix.Mkdirat(dir.fd, name, in.Mode)
	})
}

func (f *filesystem) Symlink(_ <-chan struct{}, header *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	defer f.enterNames()()
	return f.make(header, name, out, func(dir *inode) error {
		return unix.Symlinkat(target, dir.fd, name)
	})
}

func (f *filesystem) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	defer f.enterNames()()
	n, code := f.d.node(in.Oldnodeid)
	if !code.Ok() {
		return code
	}
	return f.change(in.NodeId, name, true, func(dir *inode) error {
		if err := f.d.linkTo(n, dir, name); err != nil {
			return err
		}
		if code := f.entry(dir, name, out); !code.Ok() {
			return syscall.Errno(code)
		}
		return nil
	})
}

// linkTo gives an inode another name. That a file without a name cannot have one again is the rule
// of link(2), which our own link to it must not soften.
func (d *Disk) linkTo(n, dir *inode, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	if st.Nlink == 0 || (n.pins > 0 && st.Nlink == 1) {
		return unix.ENOENT
	}
	if n.kind == unix.S_IFLNK {
		return unix.EPERM // /proc/self/fd leads to it, and is followed no further
	}
	return unix.Linkat(d.proc, fdName(n.fd), dir.fd, name, unix.AT_SYMLINK_FOLLOW)
}

func (f *filesystem) Unlink(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	defer f.enterNames()()
	return f.change(header.NodeId, name, false, func(dir *inode) error {
		n, _, err := f.d.find(dir, name)
		if err != nil {
			return err
		}
		if err := unix.Unlinkat(dir.fd, name, 0); err != nil {
			return err
		}
		if dir.names[name] == nil {
			f.d.untouch(dir, name) // it was not there and is not there
		}
		f.d.release(n)
		return nil
	})
}

func (f *filesystem) Rmdir(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	defer f.enterNames()()
	return f.change(header.NodeId, name, false, func(dir *inode) error {
		n, _, err := f.d.find(dir, name)
		if err != nil {
			return err
		}
		if !n.isDir() {
			return unix.ENOTDIR
		}
		if n.pins == 0 {
			if err := unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR); err != nil {
				return err
			}
			f.d.forgetNames(n)
			if dir.names[name] == nil {
				f.d.untouch(dir, name)
			}
			f.d.release(n)
			return nil
		}
		if empty, err := f.d.empty(n); err != nil || !empty {
			return errors.Join(err, unix.ENOTEMPTY)
		}
		return f.d.bury(n, dir, name)
	})
}

func (f *filesystem) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	defer f.enterNames()()
	if in.Flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return fuse.EINVAL
	}
	return f.change(in.NodeId, name, false, func(from *inode) error {
		code := f.change(in.Newdir, newName, false, func(to *inode) error {
			if err := f.d.rename(from, name, to, newName, in.Flags); err != nil {
				return err
			}
			if from == to {
				return nil
			}
			return f.d.tie(from, to)
		})
		if !code.Ok() {
			return syscall.Errno(code)
		}
		return nil
	})
}

// rename does it, and keeps a durable directory that is replaced. The kernel has checked that
// there is something to rename.
func (d *Disk) rename(from *inode, name string, to *inode, newName string, flags uint32) error {
	old, _, err := d.find(to, newName)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if old == nil || flags != 0 || !old.isDir() || old.pins == 0 {
		err := unix.Renameat2(from.fd, name, to.fd, newName, uint(flags))
		if err == nil && old != nil && flags == 0 && old.isDir() {
			d.forgetNames(old)
		}
		if old != nil {
			d.release(old)
		}
		return err
	}
	n, _, err := d.find(from, name)
	switch {
	case err != nil:
		return err
	case n == old:
		return nil
	case !n.isDir():
		return unix.EISDIR
	}
	if empty, err := d.empty(old); err != nil || !empty {
		return errors.Join(err, unix.ENOTEMPTY)
	}
	// An exchange refuses what a rename refuses, such as a directory that goes into itself.
	if err := unix.Renameat2(from.fd, name, to.fd, newName, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	return d.bury(old, from, name)
}

//go:build linux

package disk

import (
	"errors"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func (f *filesystem) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.sync(cancel, in.Pid, in.Fh, in.FsyncFlags&1 != 0)
}

// sync makes a file durable, or seems to. What is written while it runs may be made durable with it.
// dataOnly is fdatasync, which makes durable all that is needed to read the data back.
func (f *filesystem) sync(cancel <-chan struct{}, thread uint32, fh uint64, dataOnly bool) fuse.Status {
	if code := f.d.state.wait(cancel, thread, slowSync); !code.Ok() {
		return code
	}
	defer f.enter()()
	h, code := f.d.file(fh)
	if !code.Ok() {
		return code
	}
	n := h.inode
	switch s := f.d.State(); {
	case s.FailSync:
		n.mu.Lock()
		defer n.mu.Unlock()
		f.d.abandon(n)
		return fuse.EIO
	case s.Lie:
		return fuse.OK
	}
	flush := unix.Fsync
	if dataOnly {
		flush = unix.Fdatasync
	}
	err := flush(h.fd)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		f.d.abandon(n)
		return status(err)
	}
	return status(f.d.commit(n))
}

// FsyncDir makes the names of a directory durable, and those of directories tied to it.
func (f *filesystem) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if code := f.d.state.wait(cancel, in.Pid, slowSync); !code.Ok() {
		return code
	}
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return code
	}
	switch s := f.d.State(); {
	case s.FailSync:
		return fuse.EIO
	case s.Lie:
		return fuse.OK
	}
	if err := unix.Fsync(h.fd); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: the backing file system has no such thing
		return status(err)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.settle(h.inode)
	return fuse.OK
}

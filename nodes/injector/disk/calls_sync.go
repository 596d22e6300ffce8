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
	grown, err := f.d.settleContent(n, flush(h.fd))
	if err != nil {
		return status(err)
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return status(f.d.settleFile(n, grown || !dataOnly))
}

// settleContent makes the content of a file durable, or drops it if the backing file could not be synced. It
// reports whether the file is longer than when it was last durable.
func (d *Disk) settleContent(n *inode, failed error) (grown bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if failed != nil {
		d.abandon(n)
		return false, failed
	}
	if n.data == nil {
		return false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return false, err
	}
	grown = st.Size > n.data.size
	return grown, d.commit(n)
}

// FsyncDir makes the names of a directory durable, and what the two models have hang on them.
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
	return status(f.d.settleDir(h.inode))
}

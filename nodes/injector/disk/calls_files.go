//go:build linux

package disk

import (
	"strconv"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func fdName(fd int) string { return strconv.Itoa(fd) }

// backingFlags are those with which the backing file is opened. To write takes to read, for
// the undo log. The kernel has seen to the place of an append, and to O_DIRECT; a sync is our own.
func backingFlags(flags uint32) int {
	access := int(flags & unix.O_ACCMODE)
	if access == unix.O_WRONLY {
		access = unix.O_RDWR
	}
	return access | unix.O_NOFOLLOW | unix.O_NONBLOCK
}

func (f *filesystem) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	defer f.enterNames()()
	n, code := f.d.node(in.NodeId)
	if !code.Ok() {
		return code
	}
	return f.open(n, in.Flags, out)
}

func (f *filesystem) open(n *inode, flags uint32, out *fuse.OpenOut) fuse.Status {
	fd, err := f.d.reopen(n, backingFlags(flags)&^unix.O_NOFOLLOW) // the way by /proc is a link
	if err != nil {
		return status(err)
	}
	if flags&unix.O_TRUNC != 0 && flags&unix.O_ACCMODE != unix.O_RDONLY {
		if code := f.truncate(n, fd, 0); !code.Ok() {
			unix.Close(fd)
			return code
		}
	}
	out.Fh = f.d.addHandle(n, fd, flags)
	return fuse.OK
}

func (f *filesystem) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	defer f.enterNames()()
	dir, code := f.d.node(in.NodeId)
	if !code.Ok() {
		return code
	}
	code = f.make(&in.InHeader, name, &out.EntryOut, func(*inode) error {
		fd, err := unix.Openat(dir.fd, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, in.Mode)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
	if code == fuse.Status(unix.EEXIST) && in.Flags&unix.O_EXCL == 0 { // somebody was faster
		code = f.entry(dir, name, &out.EntryOut)
	}
	if !code.Ok() {
		return code
	}
	n, code := f.d.node(out.NodeId)
	if !code.Ok() {
		return code
	}
	return f.open(n, in.Flags, &out.OpenOut)
}

func (f *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	defer f.enter()()
	f.d.dropHandle(in.Fh)
}

// Flush is a close: it promises nothing about the disk.
func (f *filesystem) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (f *filesystem) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if code := f.d.state.wait(cancel, in.Pid, slowIO); !code.Ok() {
		return nil, code
	}
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return nil, code
	}
	if f.d.State().FailRead {
		return nil, fuse.EIO
	}
	size, err := readFull(h.fd, buf[:min(len(buf), int(in.Size))], int64(in.Offset))
	if err != nil {
		return nil, status(err)
	}
	return fuse.ReadResultData(buf[:size]), fuse.OK
}

func (f *filesystem) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if code := f.d.state.wait(cancel, in.Pid, slowIO); !code.Ok() {
		return 0, code
	}
	durable, code := f.write(in, data)
	if code.Ok() && durable {
		code = f.sync(cancel, in.Pid, in.Fh, true)
	}
	if !code.Ok() {
		return 0, code
	}
	return uint32(len(data)), fuse.OK
}

func (f *filesystem) write(in *fuse.WriteIn, data []byte) (durable bool, code fuse.Status) {
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return false, code
	}
	off, size := int64(in.Offset), int64(len(data))
	h.inode.mu.Lock()
	defer h.inode.mu.Unlock()
	if s := f.d.State(); s.FailWrite {
		return false, fuse.EIO
	} else if s.Full && needsSpace(h.fd, off, size) {
		return false, fuse.Status(unix.ENOSPC)
	}
	if err := f.d.remember(h.inode, h.fd, off, size); err != nil {
		return false, status(err)
	}
	return h.durable, status(writeFull(h.fd, data, off))
}

// needsSpace reports whether size bytes at off have no blocks yet. A file that has all its blocks
// has none to get; of others SEEK_HOLE knows, which also takes for a hole what was
// fallocated and never written.
func needsSpace(fd int, off, size int64) bool {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || off+size > st.Size {
		return true
	}
	if st.Blocks*512 >= st.Size {
		return false
	}
	hole, err := unix.Seek(fd, off, unix.SEEK_HOLE)
	return err != nil || hole < off+size
}

func (f *filesystem) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return code
	}
	at, err := unix.Seek(h.fd, int64(in.Offset), int(in.Whence))
	out.Offset = uint64(at)
	return status(err)
}

func (f *filesystem) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return code
	}
	clears := in.Mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0
	if in.Mode&^(unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		return fuse.Status(unix.EOPNOTSUPP)
	}
	off, size := int64(in.Offset), int64(in.Length)
	h.inode.mu.Lock()
	defer h.inode.mu.Unlock()
	if s := f.d.State(); s.FailWrite {
		return fuse.EIO
	} else if s.Full && in.Mode&unix.FALLOC_FL_PUNCH_HOLE == 0 && needsSpace(h.fd, off, size) {
		return fuse.Status(unix.ENOSPC)
	}
	if err := f.d.rememberRange(h, off, size, clears); err != nil {
		return status(err)
	}
	return status(unix.Fallocate(h.fd, in.Mode, off, size))
}

// rememberRange is called before a fallocate. Where that only gives blocks, no content changes but
// the size may.
func (d *Disk) rememberRange(h *handle, off, size int64, clears bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return err
	}
	if clears && off < st.Size {
		return d.remember(h.inode, h.fd, off, min(size, st.Size-off))
	}
	return d.rememberCut(h.inode, h.fd, st.Size, max(st.Size, off+size))
}

// truncate sets the size of a file that is open for reading and writing.
func (f *filesystem) truncate(n *inode, fd int, size int64) fuse.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.d.State().FailWrite {
		return fuse.EIO
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return status(err)
	}
	if err := f.d.rememberCut(n, fd, st.Size, size); err != nil {
		return status(err)
	}
	return status(unix.Ftruncate(fd, size))
}

func (f *filesystem) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	defer f.enterNames()()
	n, code := f.d.node(in.NodeId)
	if !code.Ok() {
		return code
	}
	if size, ok := in.GetSize(); ok {
		fd, err := f.d.reopen(n, unix.O_RDWR)
		if err != nil {
			return status(err)
		}
		defer unix.Close(fd)
		if code := f.truncate(n, fd, int64(size)); !code.Ok() {
			return code
		}
	}
	if err := f.d.setMode(n, in); err != nil {
		return status(err)
	}
	if err := setTimes(n, in); err != nil {
		return status(err)
	}
	return f.attributes(in.NodeId, out)
}

func (d *Disk) setMode(n *inode, in *fuse.SetAttrIn) error {
	uid, setsUID := in.GetUID()
	gid, setsGID := in.GetGID()
	if setsUID || setsGID {
		owner, owners := -1, -1
		if setsUID {
			owner = int(uid)
		}
		if setsGID {
			owners = int(gid)
		}
		if err := unix.Fchownat(n.fd, "", owner, owners, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if mode, ok := in.GetMode(); ok {
		return unix.Fchmodat(d.proc, fdName(n.fd), mode&0o7777, 0)
	}
	return nil
}

func setTimes(n *inode, in *fuse.SetAttrIn) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	atime, setsA := in.GetATime()
	mtime, setsM := in.GetMTime()
	if !setsA && !setsM {
		return nil
	}
	for i, t := range []time.Time{atime, mtime} {
		if []bool{setsA, setsM}[i] {
			times[i] = unix.NsecToTimespec(t.UnixNano())
		}
	}
	return unix.UtimesNanoAt(n.fd, "", times, unix.AT_EMPTY_PATH)
}

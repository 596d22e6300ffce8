//go:build linux

package disk

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const rootID = 1 // FUSE_ROOT_ID

// inode is a file or directory of the backing file system that the kernel, a handle or the undo
// log knows. Its descriptor (O_PATH) pins it, so that its number is not given to another.
type inode struct {
	id, ino, dev uint64
	fd           int
	kind         uint32 // S_IFMT bits

	// Under Disk.mu:
	lookups uint64
	handles int
	pins    int               // how many durable names lead to it that are changed now
	names   map[string]*inode // of a directory, by POSIX: what its changed names were when last durable; nil is none
	group   *group            // of directories that become durable together; nil if it has no changed names and is tied to none
	journal map[string]entry  // of a directory, Journaled: its names that changed since they were last durable
	gone    bool              // a removed directory, which is kept in keptDir

	mu   sync.Mutex
	data *image // nil if all is durable
}

func (n *inode) isDir() bool { return n.kind == unix.S_IFDIR }

// keptName is its name in keptDir.
func (n *inode) keptName() string { return strconv.FormatUint(n.ino, 10) }

// handle is an open file or directory.
type handle struct {
	inode   *inode
	fd      int  // -1: dead, since a power loss
	durable bool // O_SYNC or O_DSYNC
	entries []fuse.DirEntry
}

func (h *handle) die() {
	if h.fd >= 0 {
		unix.Close(h.fd)
		h.fd = -1
	}
}

// find gives the inode that a directory has under a name. The caller holds mu.
func (d *Disk) find(dir *inode, name string) (*inode, *unix.Stat_t, error) {
	fd, err := unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	if st.Dev != d.root.dev {
		unix.Close(fd)
		return nil, nil, unix.EXDEV
	}
	if n := d.byIno[st.Ino]; n != nil {
		unix.Close(fd)
		return n, &st, nil
	}
	d.lastID++
	n := &inode{id: d.lastID, ino: st.Ino, dev: st.Dev, fd: fd, kind: st.Mode & unix.S_IFMT}
	d.byID[n.id], d.byIno[n.ino] = n, n
	return n, &st, nil
}

// release forgets an inode that nobody needs: the kernel does not know it, and the undo log has
// nothing on it that matters. The caller holds mu.
func (d *Disk) release(n *inode) {
	if n == d.root || n.lookups > 0 || n.handles > 0 || n.pins > 0 || n.group != nil || len(n.journal) > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.data != nil {
		var st unix.Stat_t
		if err := unix.Fstat(n.fd, &st); err != nil || st.Nlink > 0 {
			return
		}
		d.memory.Add(-n.data.cost()) // a file without a name is lost in any case
		n.data = nil
	}
	unix.Close(n.fd)
	n.fd = -1
	delete(d.byID, n.id)
	delete(d.byIno, n.ino)
}

// reopen opens an inode anew.
func (d *Disk) reopen(n *inode, flags int) (int, error) {
	return unix.Openat(d.proc, strconv.Itoa(n.fd), flags|unix.O_CLOEXEC, 0)
}

// path is for people: the name of an inode below the backing directory. The kernel appends " (deleted)" if it has none.
func (d *Disk) path(n *inode) string {
	read := func(fd int) string {
		buf := make([]byte, unix.PathMax)
		size, err := unix.Readlinkat(d.proc, strconv.Itoa(fd), buf)
		if err != nil {
			return "?"
		}
		return string(buf[:size])
	}
	return strings.TrimPrefix(strings.TrimPrefix(read(n.fd), read(d.root.fd)), "/")
}

// node is the inode that the kernel calls so. The caller holds mu.
func (d *Disk) node(id uint64) (*inode, fuse.Status) {
	n := d.byID[id]
	if n == nil {
		return nil, fuse.Status(unix.ESTALE)
	}
	return n, fuse.OK
}

// get is the same for those who do not hold mu.
func (d *Disk) get(id uint64) (*inode, fuse.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.node(id)
}

// file is an open file that is not dead.
func (d *Disk) file(fh uint64) (*handle, fuse.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handles[fh]
	if h == nil {
		return nil, fuse.EBADF
	}
	if h.fd < 0 {
		return nil, fuse.EIO
	}
	return h, fuse.OK
}

// addHandle takes over a descriptor. The caller holds mu.
func (d *Disk) addHandle(n *inode, fd int, flags uint32) uint64 {
	d.lastID++
	d.handles[d.lastID] = &handle{inode: n, fd: fd, durable: flags&unix.O_DSYNC != 0}
	n.handles++
	return d.lastID
}

func (d *Disk) dropHandle(fh uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handles[fh]
	if h == nil {
		return
	}
	h.die()
	delete(d.handles, fh)
	h.inode.handles--
	d.release(h.inode)
}

// fill writes attributes as the node should see them: without the links and directories of ours.
// The caller holds mu.
func (d *Disk) fill(n *inode, st *unix.Stat_t, out *fuse.Attr) {
	out.Ino, out.Size, out.Blocks = st.Ino, uint64(st.Size), uint64(st.Blocks)
	out.Atime, out.Atimensec = uint64(st.Atim.Sec), uint32(st.Atim.Nsec)
	out.Mtime, out.Mtimensec = uint64(st.Mtim.Sec), uint32(st.Mtim.Nsec)
	out.Ctime, out.Ctimensec = uint64(st.Ctim.Sec), uint32(st.Ctim.Nsec)
	out.Mode, out.Nlink, out.Uid, out.Gid = st.Mode, uint32(st.Nlink), st.Uid, st.Gid
	out.Rdev, out.Blksize = uint32(st.Rdev), uint32(st.Blksize)
	if n == d.root {
		out.Nlink -= 2
	}
	if n.pins > 0 && !n.isDir() && out.Nlink > 0 {
		out.Nlink--
	}
	if n.gone {
		out.Nlink = 0
	}
}

// status is the answer for an error of a system call.
func status(err error) fuse.Status {
	var errno syscall.Errno
	switch {
	case err == nil:
		return fuse.OK
	case errors.As(err, &errno):
		return fuse.Status(errno)
	}
	return fuse.EIO
}

//go:build linux

package disk

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// filesystem answers the kernel. Nothing that it says is to be cached (all timeouts are zero), as a
// power loss and damage change files behind the kernel's back.
type filesystem struct {
	fuse.RawFileSystem // ENOSYS for what is not here, as for copy_file_range, which the kernel then does by reads and writes
	d                  *Disk
}

func (f *filesystem) String() string { return "faultline" }

// reserved reports whether a name is ours.
func (d *Disk) reserved(dir *inode, name string) bool {
	return dir == d.root && hidden(name)
}

// enter is the beginning of every call; the end is to call what it answers.
func (f *filesystem) enter() func() {
	f.d.gate.RLock()
	return f.d.gate.RUnlock
}

// enterNames is the same for calls about names.
func (f *filesystem) enterNames() func() {
	f.d.gate.RLock()
	f.d.mu.Lock()
	return func() {
		f.d.mu.Unlock()
		f.d.gate.RUnlock()
	}
}

// entry answers with what a directory has under a name. The caller holds mu.
func (f *filesystem) entry(dir *inode, name string, out *fuse.EntryOut) fuse.Status {
	n, st, err := f.d.find(dir, name)
	if err != nil {
		return status(err)
	}
	if st == nil {
		return fuse.EIO
	}
	n.lookups++
	out.NodeId, out.Generation = n.id, 1
	f.d.fill(n, st, &out.Attr)
	return fuse.OK
}

func (f *filesystem) Lookup(_ <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	defer f.enterNames()()
	dir, code := f.d.node(header.NodeId)
	if !code.Ok() {
		return code
	}
	if dir == f.d.root && name == keptDir {
		return fuse.ENOENT
	}
	return f.entry(dir, name, out)
}

func (f *filesystem) Forget(id, count uint64) {
	defer f.enterNames()()
	n := f.d.byID[id]
	if n == nil {
		return
	}
	n.lookups -= min(n.lookups, count)
	f.d.release(n)
}

func (f *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	defer f.enterNames()()
	return f.attributes(in.NodeId, out)
}

func (f *filesystem) attributes(id uint64, out *fuse.AttrOut) fuse.Status {
	n, code := f.d.node(id)
	if !code.Ok() {
		return code
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return status(err)
	}
	f.d.fill(n, &st, &out.Attr)
	return fuse.OK
}

func (f *filesystem) Readlink(_ <-chan struct{}, header *fuse.InHeader) ([]byte, fuse.Status) {
	defer f.enter()()
	n, code := f.d.get(header.NodeId)
	if !code.Ok() {
		return nil, code
	}
	buf := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.fd, "", buf)
	if err != nil {
		return nil, status(err)
	}
	return buf[:size], fuse.OK
}

// Access is not asked where the kernel checks permissions itself (default_permissions).
func (f *filesystem) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (f *filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	defer f.enter()()
	var st unix.Statfs_t
	if err := unix.Fstatfs(f.d.root.fd, &st); err != nil {
		return status(err)
	}
	out.Blocks, out.Bfree, out.Bavail = st.Blocks, st.Bfree, st.Bavail
	out.Files, out.Ffree = st.Files, st.Ffree
	out.Bsize, out.NameLen, out.Frsize = uint32(st.Bsize), uint32(st.Namelen), uint32(st.Frsize)
	if f.d.State().Full {
		out.Bfree, out.Bavail = 0, 0
	}
	return fuse.OK
}

func (f *filesystem) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	defer f.enterNames()()
	n, code := f.d.node(in.NodeId)
	if !code.Ok() {
		return code
	}
	fd, err := f.d.reopen(n, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return status(err)
	}
	out.Fh = f.d.addHandle(n, fd, 0)
	return fuse.OK
}

// ReadDir answers from a list that is made at the beginning of each reading.
func (f *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	defer f.enter()()
	h, code := f.d.file(in.Fh)
	if !code.Ok() {
		return code
	}
	h.inode.mu.Lock()
	defer h.inode.mu.Unlock()
	if in.Offset == 0 || h.entries == nil {
		entries, err := f.d.list(h.inode)
		if err != nil {
			return status(err)
		}
		dots := []fuse.DirEntry{{Name: ".", Mode: unix.S_IFDIR, Ino: h.inode.ino}, {Name: "..", Mode: unix.S_IFDIR}}
		h.entries = append(dots, entries...)
	}
	for at := in.Offset; at < uint64(len(h.entries)); at++ {
		e := h.entries[at]
		e.Off = at + 1
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

// list is what a directory holds, without what is ours.
func (d *Disk) list(n *inode) (entries []fuse.DirEntry, err error) {
	fd, err := d.reopen(n, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 64<<10)
	for {
		size, err := unix.Getdents(fd, buf)
		if err != nil || size <= 0 {
			return entries, err
		}
		for rest := buf[:size]; len(rest) > 0; {
			var e fuse.DirEntry
			rest = rest[e.Parse(rest):]
			name := strings.Clone(e.Name)
			if name != "." && name != ".." && !d.reserved(n, name) {
				entries = append(entries, fuse.DirEntry{Name: name, Mode: e.Mode, Ino: e.Ino})
			}
		}
	}
}

func (f *filesystem) ReleaseDir(in *fuse.ReleaseIn) {
	defer f.enter()()
	f.d.dropHandle(in.Fh)
}

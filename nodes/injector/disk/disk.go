//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	keptDir  = ".faultline-kept"  // in the backing directory: what a power loss may have to bring back
	probeDir = ".faultline-probe" // where Probe and PowerLoss write; the node can open it and never sees it listed
)

// hidden reports whether an entry of the backing directory is the file system's own, which the
// node never sees listed.
func hidden(name string) bool { return name == keptDir || name == probeDir }

// memoryLimit bounds the bytes of the undo log.
const memoryLimit = 256 << 20

// ErrForgotten is what PowerLoss says when there was more to remember than memoryLimit: a file
// whose unsynced changes were too many keeps them, and what was asked for did not happen.
var ErrForgotten = errors.New("the undo log is full: not all that is unsynced can be taken back")

// ErrClosed is what the methods of a Disk say after Close.
var ErrClosed = errors.New("disk: closed")

// Disk is a file system over a backing directory. Its methods may be called by many goroutines.
//
// Locks are taken in this order: acts, gate, mu, inode.mu.
type Disk struct {
	root  *inode
	proc  int // /proc/self/fd, by which inodes are opened
	kept  int // the directory keptDir
	limit int64

	acts sync.Mutex   // one of PowerLoss, Wipe, Damage, Repair, Probe, Close at a time
	gate sync.RWMutex // held for reading by every call of the node, for writing by a power loss

	mu      sync.Mutex // tables and all that concerns names
	byID    map[uint64]*inode
	byIno   map[uint64]*inode
	handles map[uint64]*handle
	places  map[uint64]map[place]bool // the changed names, by the inodes that they led and lead to
	lastID  uint64                    // of inodes and handles

	changes atomic.Uint64 // numbers files in the order of their first unsynced change
	memory  atomic.Int64  // bytes of the undo log
	probes  atomic.Int64

	state condition
	conn  *connection
}

// New serves a backing directory, which must be on one file system that has hard links and is used
// by nobody else until Close. What an earlier Disk had kept in it is removed. The caller needs
// CAP_SYS_ADMIN in its user namespace, /dev/fuse and /proc. Nobody sees the file system before Mount or Attach.
//
// client is a command line of this very program, which calls Client and returns: {"injector", "probe"}. It runs beside
// this process until Close, and makes all calls that a Probe or a PowerLoss takes.
func New(backing string, client []string) (*Disk, error) {
	d := &Disk{byID: map[uint64]*inode{}, byIno: map[uint64]*inode{}, handles: map[uint64]*handle{}, places: map[uint64]map[place]bool{}, limit: memoryLimit, proc: -1, kept: -1}
	d.state.changed = make(chan struct{})
	d.lastID = rootID
	if err := d.open(backing); err != nil {
		d.closeFiles()
		return nil, fmt.Errorf("disk: %s: %w", backing, err)
	}
	conn, err := connect(d)
	if err != nil {
		d.closeFiles()
		return nil, fmt.Errorf("disk: %s: %w", backing, err)
	}
	d.conn = conn
	if err := d.employ(client); err != nil {
		return nil, errors.Join(fmt.Errorf("disk: %s: %w", backing, err), d.Close())
	}
	return d, nil
}

// employ starts the client, and has it teach the kernel that nothing here can be polled.
func (d *Disk) employ(command []string) (err error) {
	if _, err := d.placeProbe(); err != nil {
		return err
	}
	if d.conn.client, err = startClient(d.conn.root, command); err != nil {
		return err
	}
	_, err = d.conn.client.do(errand{Do: "poll"})
	return err
}

// Empty reports whether the node has nothing on the disk. It looks below the mount.
func (d *Disk) Empty() (bool, error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return false, ErrClosed
	}
	d.gate.RLock()
	defer d.gate.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.empty(d.root)
}

func (d *Disk) open(backing string) error {
	fd, err := unix.Open(backing, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d.root = &inode{id: rootID, fd: fd, kind: unix.S_IFDIR, lookups: 1}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	d.root.ino, d.root.dev = st.Ino, st.Dev
	d.byID[rootID], d.byIno[st.Ino] = d.root, d.root
	if d.proc, err = unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("/proc is needed: %w", err)
	}
	if err := d.freshDir(keptDir, 0o700); err != nil {
		return err
	}
	if err := d.freshDir(probeDir, 0o777); err != nil {
		return err
	}
	d.kept, err = unix.Openat(fd, keptDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	return err
}

// freshDir makes an empty directory in the backing directory.
func (d *Disk) freshDir(name string, mode fs.FileMode) error {
	path := d.backing(name)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Mkdir(path, mode)
}

// backing is a path below the backing directory which also holds when that is covered by a mount.
func (d *Disk) backing(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", d.root.fd), name)
}

// Close takes the file system away, also from processes that have files open on it: their calls fail
// with ENOTCONN. What is unsynced stays in the backing directory as it is. It does not wait for
// a process to let go.
func (d *Disk) Close() error {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return nil
	}
	d.state.close()
	err := d.conn.close()
	d.conn = nil
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range []string{keptDir, probeDir} {
		err = errors.Join(err, os.RemoveAll(d.backing(name)))
	}
	d.closeFiles()
	return err
}

func (d *Disk) closeFiles() {
	for id, h := range d.handles {
		h.die()
		delete(d.handles, id)
	}
	for id, n := range d.byID {
		unix.Close(n.fd)
		n.fd = -1
		delete(d.byID, id)
	}
	clear(d.byIno)
	for _, fd := range []*int{&d.proc, &d.kept} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// connection is one mounted file system. Its own mount is in a mount namespace that only one
// thread has: kernels before 6.15 do not clone a mount that is in none. Every attachment is a
// clone of it, so that all share one page cache and one set of locks.
type connection struct {
	device int // of /dev/fuse
	root   int // of the mount; a way into it that hangs on no path
	server *fuse.Server
	served chan struct{} // closed when the server has ended
	work   chan func()   // for the thread
	client *client       // nil before it is started
	places []string      // where Mount put it
}

// connect mounts the file system where nobody sees it.
func connect(d *Disk) (*connection, error) {
	c := &connection{device: -1, root: -1, served: make(chan struct{}), work: make(chan func())}
	started := make(chan error)
	go onOwnThread(func() {
		err := c.mount()
		started <- err
		if err != nil {
			return
		}
		for f := range c.work {
			f()
		}
	})
	if err := <-started; err != nil {
		c.closeFiles()
		return nil, err
	}
	server, err := fuse.NewServer(&filesystem{RawFileSystem: fuse.NewDefaultRawFileSystem(), d: d},
		"/dev/fd/"+strconv.Itoa(c.device), &fuse.MountOptions{
			DisableReadDirPlus: true, DisableXAttrs: true,
			DisableSplice: true, Logger: log.New(io.Discard, "", 0), // it has nothing to say that the caller's errno does not
		})
	if err != nil {
		close(c.work)
		c.closeFiles()
		return nil, fmt.Errorf("FUSE: %w", err)
	}
	c.server = server
	go func() {
		defer close(c.served)
		server.Serve()
	}()
	return c, nil
}

// onOwnThread runs f on a thread that is thrown away after it. It is never the thread that leads
// the process, whose mount namespace /proc/PID/ns/mnt shows to others.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // locked: the thread ends with this goroutine
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// mount makes the file system. See fuse_parse_param in the kernel's fs/fuse/inode.c for the options.
func (c *connection) mount() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("a mount namespace: %w", err)
	}
	var err error
	if c.device, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("/dev/fuse: %w", err)
	}
	context, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(context)
	for _, option := range [][2]string{
		{"source", "faultline"}, {"fd", strconv.Itoa(c.device)}, {"rootmode", "40000"},
		{"user_id", strconv.Itoa(os.Getuid())}, {"group_id", strconv.Itoa(os.Getgid())},
	} {
		if err := unix.FsconfigSetString(context, option[0], option[1]); err != nil {
			return fmt.Errorf("option %s: %w", option[0], err)
		}
	}
	for _, flag := range []string{"default_permissions", "allow_other"} {
		if err := unix.FsconfigSetFlag(context, flag); err != nil {
			return fmt.Errorf("option %s: %w", flag, err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return fmt.Errorf("fsconfig: %w", err)
	}
	if c.root, err = unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
		return fmt.Errorf("fsmount: %w", err)
	}
	if err := unix.MoveMount(c.root, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// clone is a descriptor of a new mount of the file system that is nowhere yet.
func (c *connection) clone() (fd int, err error) {
	done := make(chan struct{})
	c.work <- func() {
		defer close(done)
		fd, err = unix.OpenTree(c.root, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	}
	<-done
	if err != nil {
		err = fmt.Errorf("open_tree: %w", err)
	}
	return fd, err
}

// attach puts a clone over a directory of the calling thread's mount namespace.
func (c *connection) attach(at string) error {
	fd, err := c.clone()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount to %s: %w", at, err)
	}
	return nil
}

// Mount covers a directory with the file system, in the mount namespace of this process. The
// directory may be the backing directory itself.
func (d *Disk) Mount(at string) error {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return ErrClosed
	}
	at, err := filepath.Abs(at)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	if err := d.conn.attach(at); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	d.conn.places = append(d.conn.places, at)
	return nil
}

// Attach covers a directory in another mount namespace, for which namespace is a descriptor
// (/proc/PID/ns/mnt); the caller may close it afterwards. The mount ends with that namespace. It
// takes CAP_SYS_CHROOT, and CAP_SYS_ADMIN over the other namespace; and to open the
// descriptor of another's process CAP_SYS_PTRACE.
func (d *Disk) Attach(namespace int, at string) error {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return ErrClosed
	}
	result := make(chan error)
	go onOwnThread(func() {
		err := unix.Unshare(unix.CLONE_FS) // setns refuses a thread whose working directory others share
		if err == nil {
			err = unix.Setns(namespace, unix.CLONE_NEWNS)
		}
		if err == nil {
			err = d.conn.attach(at)
		}
		result <- err
	})
	if err := <-result; err != nil {
		return fmt.Errorf("disk: attach: %w", err)
	}
	return nil
}

// closeWithin is how long Close waits for the server. It takes microseconds, unless a call hangs in
// the backing file system.
const closeWithin = 10 * time.Second

// close ends the connection whoever uses it. The kernel aborts a connection when the last
// reference to its device goes; but each reader of the server holds one, and waits for a
// request. So a descriptor that can be neither read nor written takes the place of the device's,
// and a request for each reader wakes it: its answer goes nowhere, its next read fails, and it
// ends. The requests return when the kernel aborts. (The file "abort" of fusectl would do as well,
// but cannot be mounted in a user namespace.)
func (c *connection) close() error {
	var err error
	for _, at := range c.places {
		if e := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); e != nil && !errors.Is(e, unix.EINVAL) && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("disk: unmount %s: %w", at, e)) // EINVAL: somebody did it
		}
	}
	dead, e := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if e != nil {
		return errors.Join(err, e)
	}
	defer unix.Close(dead)
	if e := unix.Dup3(dead, c.device, unix.O_CLOEXEC); e != nil {
		return errors.Join(err, e)
	}
	late := time.After(closeWithin)
	for ended := false; !ended; {
		go func(root int) {
			unix.Fstatfs(root, &unix.Statfs_t{})
		}(c.root)
		select {
		case <-c.served:
			ended = true
		case <-time.After(time.Millisecond):
		case <-late:
			return errors.Join(err, errors.New("disk: the server does not end"))
		}
	}
	if c.client != nil {
		err = errors.Join(err, c.client.close())
	}
	close(c.work)
	c.device = -1 // the server has closed it
	c.closeFiles()
	return err
}

func (c *connection) closeFiles() {
	for _, fd := range []int{c.device, c.root} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

//go:build linux

package disk

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Seen is what real system calls through the mount met. An empty error is success; otherwise it is
// the name of the errno, as "EIO".
type Seen struct {
	Create    string        `json:"create,omitempty"`
	Write     string        `json:"write,omitempty"`  // 4 KiB over what is there, which takes no space
	Append    string        `json:"append,omitempty"` // 4 KiB more, which takes some
	Sync      string        `json:"sync,omitempty"`
	Read      string        `json:"read,omitempty"`
	Same      bool          `json:"same"` // it read what it had written
	WriteTook time.Duration `json:"write_took"`
	SyncTook  time.Duration `json:"sync_took"`
	ReadTook  time.Duration `json:"read_took"`
	PlainTook time.Duration `json:"plain_took"` // an fsync of as much beside the mount, just before
	Durable   bool          `json:"durable"`    // after the sync nothing of the file was unsynced: false if the sync lied or failed
}

// Canary tells of two files that PowerLoss writes by real system calls just before, and looks for
// just after.
type Canary struct {
	Failed string `json:"failed,omitempty"` // they could not be written: the errno's name; the rest means nothing
	Synced bool   `json:"synced"`           // the file that was synced is there, whole; false if the sync lied
	Lost   bool   `json:"lost"`             // the one that was not synced is gone
}

const probeFile = "probe"

// Probe measures the present state. It works in a directory that the node never sees listed, and
// makes nothing of the node's durable. The error is for a probe that could not be made at all.
func (d *Disk) Probe() (Seen, error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return Seen{}, ErrClosed
	}
	plain, err := d.placeProbe()
	if err != nil {
		return Seen{}, fmt.Errorf("disk: probe: %w", err)
	}
	dir, err := d.probeDirectory()
	if err != nil {
		return Seen{}, fmt.Errorf("disk: probe: %w", err)
	}
	defer unix.Close(dir)
	seen, err := d.probe(dir)
	seen.PlainTook = plain
	return seen, err
}

// probeDirectory is probeDir, opened through the mount. Descriptors are used as they are, as an
// os.File would be watched by the runtime's poller, which must not wait for us.
func (d *Disk) probeDirectory() (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(d.conn.root, probeDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

// placeProbe puts the file to be probed where it is, below the mount: 4 KiB, durable. It returns how long
// the machine's own disk took to make it so.
func (d *Disk) placeProbe() (plain time.Duration, err error) {
	fd, err := unix.Open(d.backing(probeDir+"/"+probeFile), unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := writeFull(fd, make([]byte, pageSize), 0); err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = retry(func() (int, error) { return 0, unix.Fsync(fd) })
	return time.Since(began), err
}

func (d *Disk) probe(dir int) (seen Seen, err error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, probeFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_DIRECT, 0)
	})
	if err != nil {
		return seen, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	created, err := retry(func() (int, error) {
		return unix.Openat(dir, "new", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	})
	seen.Create = errnoName(err)
	if err == nil {
		unix.Close(created)
		if err := unix.Unlinkat(dir, "new", 0); err != nil {
			return seen, fmt.Errorf("unlink: %w", err)
		}
	}
	content := bytes.Repeat([]byte{byte(d.probes.Add(1))}, pageSize) // another one each time
	seen.Write, seen.WriteTook = timed(func() error { return writeFull(fd, content, 0) })
	seen.Append, _ = timed(func() error { return writeFull(fd, content, pageSize) })
	seen.Sync, seen.SyncTook = timed(func() error {
		_, err := retry(func() (int, error) { return 0, unix.Fsync(fd) })
		return err
	})
	back := make([]byte, pageSize)
	seen.Read, seen.ReadTook = timed(func() error {
		_, err := readFull(fd, back, 0)
		return err
	})
	seen.Same = seen.Read == "" && bytes.Equal(back, content)
	seen.Durable = seen.Sync == "" && !d.dirty(fd)
	return seen, nil
}

// dirty tells whether the file has unsynced content.
func (d *Disk) dirty(fd int) bool {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.byIno[st.Ino]
	if n == nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.data != nil
}

// releaseCanary writes two files, of which one is synced, with its name.
func (d *Disk) releaseCanary() error {
	dir, err := d.probeDirectory()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, synced := range []bool{true, false} {
		if err := writeCanary(dir, synced); err != nil {
			return err
		}
	}
	return nil
}

func canaryName(synced bool) string {
	if synced {
		return "synced"
	}
	return "unsynced"
}

func writeCanary(dir int, synced bool) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, canaryName(synced), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := writeFull(fd, []byte(canaryName(synced)), 0); err != nil || !synced {
		return err
	}
	for _, what := range []int{fd, dir} {
		if _, err := retry(func() (int, error) { return 0, unix.Fsync(what) }); err != nil {
			return err
		}
	}
	return nil
}

// findCanary looks for the two files, and removes them below the mount.
func (d *Disk) findCanary(failed error) (c Canary) {
	dir, err := d.probeDirectory()
	if failed = errors.Join(failed, err); failed == nil {
		defer unix.Close(dir)
		var st unix.Stat_t
		err := unix.Fstatat(dir, canaryName(true), &st, 0)
		c.Synced = err == nil && st.Size == int64(len(canaryName(true)))
		c.Lost = errors.Is(unix.Fstatat(dir, canaryName(false), &st, 0), unix.ENOENT)
	}
	for _, synced := range []bool{true, false} {
		if err := unix.Unlink(d.backing(probeDir + "/" + canaryName(synced))); err != nil && !errors.Is(err, unix.ENOENT) {
			failed = errors.Join(failed, err)
		}
	}
	c.Failed = errnoName(failed)
	return c
}

func timed(f func() error) (errno string, took time.Duration) {
	start := time.Now()
	err := f()
	return errnoName(err), time.Since(start)
}

// errnoName is "" for no error.
func errnoName(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return ""
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// retry repeats a system call that the runtime's signals interrupt.
func retry(call func() (int, error)) (int, error) {
	for {
		got, err := call()
		if !errors.Is(err, unix.EINTR) {
			return got, err
		}
	}
}

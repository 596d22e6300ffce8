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

	File uint64 `json:"file,omitempty"` // number of the inode that was probed
}

// Canary is about three files that PowerLoss has written by real system calls just before, and looked for
// just after.
type Canary struct {
	Failed string `json:"failed,omitempty"` // they could not be written: the errno's name; the rest means nothing
	Synced bool   `json:"synced"`           // the file that was synced is there, whole; false if the sync lied
	Named  bool   `json:"named"`            // so is the one that was synced, and its directory was not: true by Journaled, false by POSIX
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
	done, err := d.conn.client.do(errand{Do: "probe", Fill: byte(d.probes.Add(1))}) // another content each time
	if err != nil {
		return Seen{}, fmt.Errorf("disk: %w", err)
	}
	seen := done.Seen
	seen.Durable, seen.PlainTook = seen.Sync == "" && !d.dirty(seen.File), plain
	return seen, nil
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

// probe is what the client does. The file stays open until its next errand.
func (u *user) probe(e errand) (o outcome, err error) {
	dir, err := u.directory()
	if err != nil {
		return o, err
	}
	defer unix.Close(dir)
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, probeFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_DIRECT, 0)
	})
	if err != nil {
		return o, fmt.Errorf("open: %w", err)
	}
	u.file = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return o, fmt.Errorf("stat: %w", err)
	}
	seen := Seen{File: st.Ino}
	created, err := retry(func() (int, error) {
		return unix.Openat(dir, "new", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	})
	seen.Create = errnoName(err)
	if err == nil {
		unix.Close(created)
		if err := unix.Unlinkat(dir, "new", 0); err != nil {
			return o, fmt.Errorf("unlink: %w", err)
		}
	}
	content := bytes.Repeat([]byte{e.Fill}, pageSize)
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
	return outcome{Seen: seen}, nil
}

// dirty reports whether the file has unsynced content. One that the server does not know was never probed.
func (d *Disk) dirty(file uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.byIno[file]
	if n == nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.data != nil
}

// canary is a file that a power loss takes, or not; it holds its own name.
type canary struct {
	name            string
	synced, withDir bool // itself, and then its directory
}

var (
	syncedCanary   = canary{"synced", true, true}
	unsyncedCanary = canary{"unsynced", false, false}
	namedCanary    = canary{"named", true, false} // the last: the sync of the directory would keep it
	canaries       = []canary{syncedCanary, unsyncedCanary, namedCanary}
)

// release writes the canaries. What fails is for the Canary to say.
func (u *user) release(errand) (o outcome, err error) {
	o.Canary.Failed = errnoName(u.writeCanaries())
	return o, nil
}

func (u *user) writeCanaries() error {
	dir, err := u.directory()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, c := range canaries {
		if err := c.write(dir); err != nil {
			return err
		}
	}
	return nil
}

func (c canary) write(dir int) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, c.name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = writeFull(fd, []byte(c.name), 0)
	if err == nil && c.synced {
		_, err = retry(func() (int, error) { return 0, unix.Fsync(fd) })
	}
	if err == nil && c.withDir {
		_, err = retry(func() (int, error) { return 0, unix.Fsync(dir) })
	}
	return err
}

// find looks for the canaries.
func (u *user) find(errand) (o outcome, err error) {
	dir, err := u.directory()
	if err != nil {
		o.Canary.Failed = errnoName(err)
		return o, nil
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	whole := func(c canary) bool {
		return unix.Fstatat(dir, c.name, &st, 0) == nil && st.Size == int64(len(c.name))
	}
	o.Canary = Canary{Synced: whole(syncedCanary), Named: whole(namedCanary),
		Lost: errors.Is(unix.Fstatat(dir, unsyncedCanary.name, &st, 0), unix.ENOENT)}
	return o, nil
}

// releaseCanary has the files written; failed is the errno's name.
func (d *Disk) releaseCanary() (failed string, err error) {
	o, err := d.conn.client.do(errand{Do: "release"})
	return o.Canary.Failed, err
}

// findCanary has the files looked for, and removes them below the mount.
func (d *Disk) findCanary(failed string) (Canary, error) {
	o, err := d.conn.client.do(errand{Do: "find"})
	found := o.Canary
	for _, c := range canaries {
		if e := unix.Unlink(d.backing(probeDir + "/" + c.name)); e != nil && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, e)
		}
	}
	if failed != "" {
		found = Canary{Failed: failed}
	}
	return found, err
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

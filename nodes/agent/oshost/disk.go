package oshost

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"faultline/nodes"
)

// Disk is a directory. Names cannot lead out of it.
type Disk struct{ root *os.Root }

var _ nodes.Disk = (*Disk)(nil)

// OpenDisk opens the directory dir, which is made if it is absent.
func OpenDisk(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Disk{root}, nil
}

// Open opens a file.
func (d *Disk) Open(name string, flag int) (nodes.File, error) {
	f, err := d.root.OpenFile(filepath.FromSlash(name), flag, 0o644)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Rename replaces to by from.
func (d *Disk) Rename(from, to string) error {
	return d.root.Rename(filepath.FromSlash(from), filepath.FromSlash(to))
}

// Remove removes a file or an empty directory.
func (d *Disk) Remove(name string) error { return d.root.Remove(filepath.FromSlash(name)) }

// MkdirAll makes a directory and those above it.
func (d *Disk) MkdirAll(name string) error { return d.root.MkdirAll(filepath.FromSlash(name), 0o755) }

// ReadDir lists a directory, sorted.
func (d *Disk) ReadDir(name string) (names []string, err error) {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir makes the names in a directory survive a loss of power.
func (d *Disk) SyncDir(name string) error {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Lock claims the directory with flock(2), which ends with the process, however it ends.
func (d *Disk) Lock() (io.Closer, error) {
	f, err := d.root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%s is in use by another process", d.root.Name())
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type file struct{ *os.File }

func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

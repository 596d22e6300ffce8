// Package fakedisk is a nodes.Disk in memory for tests of crash safety. It keeps apart
// what the page cache holds and what would survive a loss of power, and tears what lies
// between as badly as a disk may:
//
//	d := fakedisk.New()
//	d.CrashAt(7)             // the 7th change fails half done, and everything after it
//	use(d)
//	d = d.PowerLoss(fakedisk.KeepLast)  // or d.Kill(), which keeps the page cache
//	check(d)
//
// The model is worse than any file system: without File.Sync each piece of each write may
// survive or not, in any combination; without SyncDir each created, renamed or removed name
// may. A failed Sync drops what it should have written and leaves it in the cache, as
// Linux does. It is not for measuring: it has no speed.
package fakedisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"faultline/nodes"
)

// ErrCrashed is what every call gets after a crash.
var ErrCrashed = errors.New("fakedisk: crashed")

// Op is one change of the disk, as the hook of Before sees it.
type Op struct {
	Number int // from 1
	Kind   Kind
	Name   string
}

// Kind names a change.
type Kind string

const (
	Create   Kind = "create"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	Mkdir    Kind = "mkdir"
	SyncDir  Kind = "syncdir"
)

// Disk implements nodes.Disk. Its methods may be called by many goroutines.
type Disk struct {
	mu      sync.Mutex
	names   map[string]*inode // as processes see them; "." is the root
	durable map[string]*inode // as they would be after a loss of power
	ops     int
	before  func(Op) error
	dead    bool
	locked  bool
}

var _ nodes.Disk = (*Disk)(nil)

// New is an empty disk.
func New() *Disk {
	root := &inode{dir: true}
	return &Disk{names: map[string]*inode{".": root}, durable: map[string]*inode{".": root}}
}

// Before sets a hook that runs before every change; its error fails the change. After an
// error that is ErrCrashed the disk is dead, and a write is done by half.
func (d *Disk) Before(hook func(Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = hook
}

// CrashAt makes the disk crash at its op'th change from now on, counted from 1.
func (d *Disk) CrashAt(op int) {
	at := d.Ops() + op
	d.Before(func(o Op) error {
		if o.Number >= at {
			return ErrCrashed
		}
		return nil
	})
}

// Ops is how many changes were tried so far.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// change counts a change and asks the hook. The caller holds the lock.
func (d *Disk) change(kind Kind, name string) error {
	if d.dead {
		return ErrCrashed
	}
	d.ops++
	if d.before == nil {
		return nil
	}
	err := d.before(Op{d.ops, kind, name})
	d.dead = errors.Is(err, ErrCrashed)
	return err
}

func (d *Disk) Open(name string, flag int) (nodes.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	name = path.Clean(name)
	n, found := d.names[name]
	switch {
	case found && n.dir:
		return nil, pathError("open", name, errors.New("is a directory"))
	case found && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathError("open", name, fs.ErrExist)
	case !found && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, fs.ErrNotExist)
	case !found:
		if err := d.parent(name); err != nil {
			return nil, err
		}
		if err := d.change(Create, name); err != nil {
			return nil, err
		}
		n = &inode{}
		d.names[name] = n
	}
	if flag&os.O_TRUNC != 0 && len(n.data) > 0 {
		if err := d.change(Truncate, name); err != nil {
			return nil, err
		}
		n.truncate(0)
	}
	return &file{disk: d, name: name, inode: n, writable: flag&(os.O_WRONLY|os.O_RDWR) != 0}, nil
}

// parent refuses a name whose directory does not exist.
func (d *Disk) parent(name string) error {
	if up := d.names[path.Dir(name)]; up == nil || !up.dir {
		return pathError("open", name, fs.ErrNotExist)
	}
	return nil
}

func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = path.Clean(from), path.Clean(to)
	n := d.names[from]
	if n == nil || n.dir {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if err := d.parent(to); err != nil {
		return err
	}
	if err := d.change(Rename, from); err != nil {
		return err
	}
	delete(d.names, from)
	d.names[to] = n
	return nil
}

func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.names[name] == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	for other := range d.names {
		if path.Dir(other) == name && other != "." {
			return pathError("remove", name, errors.New("directory not empty"))
		}
	}
	if err := d.change(Remove, name); err != nil {
		return err
	}
	delete(d.names, name)
	return nil
}

func (d *Disk) MkdirAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	above := "."
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		above = path.Join(above, part)
		if n := d.names[above]; n != nil {
			if !n.dir {
				return pathError("mkdir", above, errors.New("not a directory"))
			}
			continue
		}
		if err := d.change(Mkdir, above); err != nil {
			return err
		}
		d.names[above] = &inode{dir: true}
	}
	return nil
}

func (d *Disk) ReadDir(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	name = path.Clean(name)
	if n := d.names[name]; n == nil || !n.dir {
		return nil, pathError("readdir", name, fs.ErrNotExist)
	}
	var out []string
	for other := range d.names {
		if path.Dir(other) == name && other != "." {
			out = append(out, path.Base(other))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if n := d.names[name]; n == nil || !n.dir {
		return pathError("syncdir", name, fs.ErrNotExist)
	}
	if err := d.change(SyncDir, name); err != nil {
		return err
	}
	inDir := func(other string, _ *inode) bool { return other != "." && path.Dir(other) == name }
	maps.DeleteFunc(d.durable, inDir)
	for other, n := range d.names {
		if inDir(other, n) {
			d.durable[other] = n
		}
	}
	return nil
}

func (d *Disk) Lock() (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, errors.New("fakedisk: the directory is in use")
	}
	d.locked = true
	return unlocker{d}, nil
}

type unlocker struct{ disk *Disk }

func (u unlocker) Close() error {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	u.disk.locked = false
	return nil
}

func pathError(op, name string, err error) error {
	return fmt.Errorf("fakedisk: %w", &fs.PathError{Op: op, Path: name, Err: err})
}

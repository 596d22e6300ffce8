//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes"
	"faultline/nodes/internal/lock"
	"faultline/nodes/pods"
)

// base is where this user's runs have their directories.
func base() string { return filepath.Join(os.TempDir(), "faultline-"+strconv.Itoa(os.Geteuid())) }

// ownerMark is between a run's name and its owner, in the name of its directory: so
// there is no moment at which a directory has no owner.
const ownerMark = "@"

// baseDir is the base, open and locked: whoever makes, claims or removes what is in it waits
// for the others. All is done below its descriptor, so that nobody who may write to the folder
// around it (/tmp is everybody's) can lead us elsewhere by a link.
type baseDir struct {
	root *os.Root
	lock *os.File
}

// openBase opens the base without following a link, and makes sure that it is nobody else's.
func openBase() (baseDir, error) {
	for {
		b, err := openBaseOnce()
		if err != nil {
			return b, err
		}
		// Whoever was before us may have removed it while we waited.
		now, err := os.Lstat(base())
		ours, statErr := b.lock.Stat()
		if err == nil && statErr == nil && os.SameFile(now, ours) {
			return b, nil
		}
		b.close()
		if errors.Is(err, fs.ErrNotExist) {
			return baseDir{}, err
		}
		if err := errors.Join(err, statErr); err != nil {
			return baseDir{}, err
		}
	}
}

func openBaseOnce() (b baseDir, err error) {
	fd, err := unix.Open(base(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return b, notOurs()
	case err != nil:
		return b, &fs.PathError{Op: "open", Path: base(), Err: err}
	}
	b.lock = os.NewFile(uintptr(fd), base())
	info, err := b.lock.Stat()
	switch {
	case err != nil:
	case !parentIsSafe() || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()):
		err = notOurs()
	default:
		if err = lock.Take(b.lock); err == nil {
			b.root, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", fd)) // that very directory, whatever its name leads to by now
		}
	}
	if err != nil {
		return baseDir{}, errors.Join(err, b.lock.Close())
	}
	return b, nil
}

// parentIsSafe reports whether nobody else can put another directory in the place of the base,
// from which programs are executed: the folder around it is this user's alone, or sticky.
func parentIsSafe() bool {
	info, err := os.Stat(filepath.Dir(base()))
	return err == nil && (info.Mode().Perm()&0o022 == 0 || info.Mode()&fs.ModeSticky != 0)
}

func notOurs() error {
	return fmt.Errorf("%s is not a directory that only this user can write to and put in its place: remove it, or set TMPDIR (%w)", base(), fs.ErrPermission)
}

// close gives up the lock. Nothing was written that could fail now.
func (b baseDir) close() {
	b.root.Close()
	b.lock.Close()
}

// removeIfEmpty removes the base, which holds the lock until it is closed.
func (b baseDir) removeIfEmpty() error {
	err := os.Remove(base()) // by its name: of a link, or of what is not empty, nothing is removed
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// claim is a run's directory, locked as long as its harness lives and wants it.
type claim struct {
	name string // in the base
	lock *os.File
}

func (c claim) dir() string { return filepath.Join(base(), c.name) }

// makeDir makes a run's directory.
func makeDir(run string) (claim, error) {
	owner, err := pods.Self(os.DirFS("/proc"))
	if err != nil {
		return claim{}, err
	}
	c := claim{name: run + ownerMark + owner.String()}
	b, err := makeBase()
	if err != nil {
		return c, err
	}
	defer b.close()
	err = b.root.Mkdir(c.name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return c, fmt.Errorf("another run of this process is called %s too: %w", run, err)
	}
	if err != nil {
		return c, err
	}
	if c.lock, err = b.root.Open(c.name); err == nil {
		err = lock.Take(c.lock) // nobody else knows of it yet
	}
	if err != nil {
		err = errors.Join(err, b.root.Remove(c.name))
		if c.lock != nil {
			c.lock.Close()
		}
	}
	return c, err
}

// makeBase opens the base, which it makes if it is not there. The last run that ends removes
// it.
func makeBase() (b baseDir, err error) {
	for began := time.Now(); time.Since(began) < removePatience; {
		if err := os.Mkdir(base(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return b, err
		}
		if b, err = openBase(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return b, err
}

const (
	removePatience = 5 * time.Second
	removePoll     = 5 * time.Millisecond
)

// remove removes a run's directory, and the base if that was the last.
func (c claim) remove(ctx context.Context) error {
	b, err := openBase()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.remove(ctx, c.name); err != nil {
		return err
	}
	if c.lock != nil {
		c.lock.Close() // it was only locked
	}
	return b.removeIfEmpty()
}

// remove removes what is in the base. A process that is just ending may still make files there.
func (b baseDir) remove(ctx context.Context, name string) error {
	for began := time.Now(); ; {
		err := b.root.RemoveAll(name)
		if err == nil || time.Since(began) > removePatience {
			return err
		}
		select {
		case <-time.After(removePoll):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// clean removes what has no live owner: what nobody has locked.
func clean(ctx context.Context) (cleaned nodes.Cleaned, err error) {
	owners, err := pods.Owners(os.DirFS("/proc"))
	if err != nil {
		return cleaned, err
	}
	b, err := openBase()
	if errors.Is(err, fs.ErrNotExist) {
		return cleaned, nil
	}
	if err != nil {
		return cleaned, err
	}
	defer b.close()
	entries, err := fs.ReadDir(b.root.FS(), ".")
	if err != nil {
		return cleaned, err
	}
	var errs []error
	for _, e := range entries {
		run, owner, _ := strings.Cut(e.Name(), ownerMark)
		state := owners(owner)
		if state == pods.Alive {
			continue
		}
		if b.locked(e.Name()) {
			cleaned.Left = append(cleaned.Left, fmt.Sprintf("directory %s: its harness lives where it cannot be seen from here (another pid namespace?)", filepath.Join(base(), e.Name())))
			continue
		}
		if err := b.remove(ctx, e.Name()); err != nil {
			errs = append(errs, err)
			continue
		}
		cleaned.Removed = append(cleaned.Removed, fmt.Sprintf("directory %s (run %s)", filepath.Join(base(), e.Name()), run))
	}
	return cleaned, errors.Join(append(errs, b.removeIfEmpty())...)
}

// locked reports whether the harness of a run's directory lives, wherever that is. Nobody can
// begin to meanwhile: we hold the base.
func (b baseDir) locked(name string) bool {
	info, err := b.root.Lstat(name)
	if err != nil || !info.IsDir() {
		return false // a link or a file is nobody's
	}
	dir, err := b.root.Open(name)
	if err != nil {
		return false
	}
	defer dir.Close()
	free, err := lock.Try(dir)
	return err != nil || !free // what cannot be told is left alone
}

// files are what a run has in its directory.
type files struct{ dir string }

func (f files) injector() string        { return filepath.Join(f.dir, "bin", "injector") }
func (f files) node() string            { return filepath.Join(f.dir, "bin", "node") }
func (f files) root() string            { return filepath.Join(f.dir, "root") }
func (f files) data(node string) string { return filepath.Join(f.dir, "data", node) }
func (f files) log(node string) string  { return filepath.Join(f.dir, "logs", node+".log") }

// lay makes them, for these nodes.
func (f files) lay(injector, node []byte, names []string) error {
	dirs := []string{filepath.Dir(f.injector()), f.root(), filepath.Dir(f.log(""))}
	for _, name := range names {
		dirs = append(dirs, f.data(name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(writeExecutable(f.injector(), injector), writeExecutable(f.node(), node))
}

// writeExecutable writes a file that is executed next. No process may be forked by this one meanwhile:
// until its own exec it would hold the file open for writing, and a file that anybody may write
// to cannot be executed (ETXTBSY, execve(2)). Another run of this process may be forking.
func writeExecutable(name string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, content, 0o755)
}

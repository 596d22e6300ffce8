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

	"faultline/nodes/pods"
)

// base is where this user's runs have their directories.
func base() string { return filepath.Join(os.TempDir(), "faultline-"+strconv.Itoa(os.Geteuid())) }

// ownerMark is between a run's name and its owner, in the name of its directory: so
// there is no moment at which a directory has no owner.
const ownerMark = "@"

// makeDir makes a run's directory.
func makeDir(run string) (dir string, err error) {
	owner, err := pods.Self(os.DirFS("/proc"))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(base(), run+ownerMark+owner.String())
	for range 3 { // the last run that ends removes the base
		if err := makeBase(base()); err != nil {
			return "", err
		}
		if err = os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("another run of this process is called %s too: %w", run, err)
	}
	return dir, err
}

// makeBase makes sure that the directory is there and nobody else's: /tmp is everybody's.
func makeBase(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile: there is no harm in that
	}
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%s is not a directory that only this user can write to: remove it, or set TMPDIR", dir)
	}
	return nil
}

const (
	removePatience = 5 * time.Second
	removePoll     = 5 * time.Millisecond
)

// removeDir removes a run's directory, and the base if that was the last. A process that is
// just ending may still make files there.
func removeDir(ctx context.Context, dir string) error {
	for began := time.Now(); ; {
		err := os.RemoveAll(dir)
		if err == nil {
			break
		}
		if time.Since(began) > removePatience {
			return err
		}
		select {
		case <-time.After(removePoll):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
	err := os.Remove(base())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return nil // somebody was faster, or uses it
	}
	return err
}

// clean removes what has no live owner.
func clean(ctx context.Context) (removed []string, err error) {
	alive, err := pods.Liveness(os.DirFS("/proc"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(base())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range entries {
		run, owner, _ := strings.Cut(e.Name(), ownerMark)
		if alive(owner) {
			continue
		}
		dir := filepath.Join(base(), e.Name())
		if err := removeDir(ctx, dir); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, fmt.Sprintf("directory %s (run %s)", dir, run))
	}
	return removed, errors.Join(errs...)
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

package programs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"faultline/nodes"
	"faultline/nodes/internal/lock"
)

// buildLimit is longer than any build takes: an older Faultline does not lock the directories that it builds in.
const buildLimit = time.Hour

// oldPrefix begins the names of directories in TMPDIR in which an older Faultline built the injector.
const oldPrefix = "faultline-injector-"

// Clean removes the directories that builds which were killed have left, in the user's cache and in TMPDIR: this user's, which
// nobody has locked, and which have not changed for an hour.
func Clean(ctx context.Context) (done nodes.Cleaned, err error) {
	done.Removed, err = cleanDir(ctx, os.TempDir(), oldPrefix)
	errs := []error{err}
	cache, err := cacheOfAll()
	if err != nil {
		return done, errors.Join(errs...) // without a cache nothing was built in it
	}
	checkouts, err := os.ReadDir(cache)
	if !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, c := range checkouts {
		if c.IsDir() {
			removed, err := cleanDir(ctx, filepath.Join(cache, c.Name()), buildPrefix)
			done.Removed, errs = append(done.Removed, removed...), append(errs, err)
		}
	}
	return done, errors.Join(errs...)
}

// cleanDir removes the left-overs whose names begin with prefix in one directory. It follows no link out of it: TMPDIR is everybody's.
func cleanDir(ctx context.Context, dir, prefix string) (removed []string, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close() // was only read
	entries, err := fs.ReadDir(root.FS(), ".")
	errs := []error{err}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if ctx.Err() != nil {
			return removed, errors.Join(append(errs, context.Cause(ctx))...)
		}
		path := filepath.Join(dir, e.Name())
		switch gone, err := removeAbandoned(root, e.Name()); {
		case errors.Is(err, fs.ErrNotExist): // somebody was faster
		case err != nil:
			errs = append(errs, fmt.Errorf("removing %s: %w", path, err))
		case gone:
			removed = append(removed, "directory "+path+" (a build that was killed)")
		}
	}
	return removed, errors.Join(errs...)
}

// removeAbandoned removes a directory if it is abandoned, which it tells.
func removeAbandoned(root *os.Root, name string) (gone bool, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // another user's
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // which gives the lock up
	info, err := f.Stat()
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) || time.Since(info.ModTime()) < buildLimit {
		return false, err
	}
	if free, err := lock.Try(f); err != nil || !free {
		return false, err
	}
	return true, root.RemoveAll(name)
}

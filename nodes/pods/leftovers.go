package pods

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// buildAge is how old a directory of a build must be to be taken for one that was cut off: no
// build takes that long.
const buildAge = time.Hour

// BuildLeftovers are patterns (path/filepath.Match) of the directories in which injectors are
// built.
func BuildLeftovers() []string { return []string{filepath.Join(os.TempDir(), injectorBuild+"*")} }

const injectorBuild = "faultline-injector-"

// CleanBuilds removes the directories of builds that were cut off: of those that match the
// patterns, the ones that are this user's own, and no links, and old.
func CleanBuilds(patterns []string) (removed []string, err error) {
	var errs []error
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return removed, err
		}
		for _, dir := range found {
			ok, err := removeBuild(dir)
			if ok {
				removed = append(removed, "half a build, "+dir)
			}
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// removeBuild removes one directory below the folder that it is in, so that whatever takes its
// place meanwhile is removed and not followed.
func removeBuild(dir string) (removed bool, err error) {
	folder, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return false, err
	}
	defer folder.Close() // was only read
	name := filepath.Base(dir)
	info, err := folder.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // somebody was faster
	}
	if err != nil {
		return false, err
	}
	mine := info.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid())
	if !info.IsDir() || !mine || time.Since(info.ModTime()) < buildAge {
		return false, nil
	}
	if err := folder.RemoveAll(name); err != nil {
		return false, fmt.Errorf("removing %s: %w", dir, err)
	}
	return true, nil
}

// Package rundir is the layout of run directories and of the store that holds them. It reads and
// writes their files safely.
//
//	store/
//	  latest                        link to the run that began last
//	  suites/NAME/                  reports of several scenarios
//	  sweeps/NAME/                  a sweep: its page, and a store for each of its cells
//	  SCENARIO/
//	    latest                      link to the scenario's run that began last
//	    20261126T234256.123Z/       a run directory, see the names below
//
// The input is written before anything starts, the history as it happens, the results last. A run
// directory is all that is needed to judge the run again, so they travel: they are kept as
// artifacts, unpacked and judged elsewhere. No symbolic link in one is followed out of it
// (files.go).
//
// The package does not interpret the files, except versions.json ([Record]).
package rundir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Names inside a run directory.
const (
	ScenarioFile = "scenario.yaml" // the scenario; a directory without it is no run directory
	TopologyFile = "topology.yaml" // the cluster
	SystemFile   = "system.yaml"   // what was tested, if a file describes it
	ScheduleFile = "schedule.yaml" // the planned faults
	ResolvedFile = "resolved.yaml" // the same with the nodes that were targeted; a killed run has none
	RecordFile   = "versions.json" // see Record
	HistoryFile  = "history.jsonl" // what happened
	NodesDir     = "nodes"         // a folder for each node, with its log
	ResultsFile  = "results.json"  // the verdict and the results
	ReportFile   = "report.html"
	JUnitFile    = "junit.xml"
	SummaryFile  = "summary.md"
	PicturesDir  = "linearizability" // Porcupine's pages, one for each key that is not linearizable
)

// Names in a store beside those of scenarios.
const (
	Latest = "latest"
	Suites = "suites"
	Sweeps = "sweeps"
)

// minFree is the least free space, in bytes, on the file system of a store.
const minFree = 64 << 20

// Create makes the empty run directory store/SCENARIO/TIME, and store if it is missing. It returns
// its path and the time in its name, in UTC, with milliseconds.
func Create(store, scenario string) (dir string, started time.Time, err error) {
	parent := filepath.Join(store, scenario)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", time.Time{}, err
	}
	return newFolder(parent)
}

// newFolder makes a folder that is called after the time. Of two runs that begin in the
// same millisecond, one is called after the next.
func newFolder(parent string) (dir string, started time.Time, err error) {
	for started = time.Now().UTC(); ; started = started.Add(time.Millisecond) {
		dir = filepath.Join(parent, started.Format("20060102T150405.000Z"))
		if err = os.Mkdir(dir, 0o755); !errors.Is(err, fs.ErrExist) {
			return dir, started, err
		}
	}
}

// Announce points the links named latest, of the store and of the scenario, at the run directory
// dir.
func Announce(dir string) error {
	parent, run := filepath.Split(dir)
	store, scenario := filepath.Split(filepath.Clean(parent))
	return errors.Join(
		link(filepath.Join(scenario, run), filepath.Join(store, Latest)),
		link(run, filepath.Join(parent, Latest)),
	)
}

// link makes or moves a symbolic link atomically.
func link(target, path string) error {
	temp := path + "." + rand.Text()
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// Discard removes a run directory, and its scenario's folder if no other run is in it.
func Discard(dir string) error {
	err := os.RemoveAll(dir)
	if parent := os.Remove(filepath.Dir(dir)); parent != nil && !errors.Is(parent, unix.ENOTEMPTY) {
		err = errors.Join(err, parent)
	}
	return err
}

// Locate returns a run directory, without symbolic links: path itself, or the newest run below it
// if path is a store, a scenario's folder, or one of the links named latest.
func Locate(path string) (string, error) {
	for _, dir := range []string{path, filepath.Join(path, Latest)} {
		_, err := os.Stat(filepath.Join(dir, ScenarioFile))
		if err == nil {
			return filepath.EvalSymlinks(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return "", fmt.Errorf("run directory: %w", err)
		}
	}
	return "", fmt.Errorf("%s holds no run: no %s there, nor in %s; give a run directory, or a store",
		path, ScenarioFile, filepath.Join(path, Latest))
}

// List returns the run directories of a store, sorted by scenario and then by time.
func List(store string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(escaped(store), "*", "[0-9]*", ScenarioFile))
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found, err
}

// escaped is a path as a pattern that matches nothing else.
func escaped(path string) string {
	var pattern []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			pattern = append(pattern, '\\')
		}
		pattern = append(pattern, r)
	}
	return string(pattern)
}

// CheckStore returns an error if no run directory can be made and filled below store, which need
// not exist yet.
func CheckStore(store string) error {
	_, err := FreeSpace(store)
	return err
}

// FreeSpace returns the free space of a store's file system, in MiB. It fails if that is less
// than 64 MiB, or if the store cannot be written.
func FreeSpace(store string) (mib uint64, err error) {
	dir, err := existing(store)
	if err != nil {
		return 0, fmt.Errorf("store %s: %w; give another --store", store, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("store %s: %w", store, err)
	}
	free := st.Bavail * uint64(st.Bsize)
	if free < minFree {
		return 0, fmt.Errorf("store %s: %d MiB free, a run wants at least %d MiB: make room, or give another --store",
			store, free>>20, minFree>>20)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return 0, fmt.Errorf("store %s: cannot write to %s: %w; give another --store", store, dir, err)
	}
	return free >> 20, nil
}

// existing is path, or the nearest folder above it that exists.
func existing(path string) (string, error) {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is no directory", path)
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR):
			return "", err
		}
	}
}

package faultline

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
)

// Names inside a run directory. What was asked is written before anything starts, the
// history as it happens, what was decided last.
const (
	fileScenario = "scenario.yaml"
	fileTopology = "topology.yaml"
	fileSchedule = "schedule.yaml"
	fileResolved = "resolved.yaml"
	fileRecord   = "versions.json"
	fileHistory  = "history.jsonl"
	dirNodes     = "nodes"
	fileResults  = "results.json"
	fileReport   = "report.html"
	fileJUnit    = "junit.xml"
	fileSummary  = "summary.md"
	dirPictures  = "linearizability"
)

// minFree is the least free space, in bytes, on the file system of the store.
const minFree = 64 << 20

// Record says with what a run was made; it is versions.json.
type Record struct {
	Format   int               `json:"format"` // of the run directory, see checker.FormatEvidence
	Started  time.Time         `json:"started"`
	Runtime  string            `json:"runtime"`
	System   string            `json:"system"`
	Command  string            `json:"command"` // repeats the run
	Notes    []string          `json:"notes,omitempty"`
	Binary   *nodes.Binary     `json:"binary,omitempty"` // of a node of the system
	Versions map[string]string `json:"versions"`
}

// newRunDir makes store/SCENARIO/TIME and writes down what was asked.
func newRunDir(store string, p *plan) (string, Record, error) {
	parent := filepath.Join(store, p.scenario.Name)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", Record{}, usagef("store: %w", fullDisk(store, err))
	}
	dir, started, err := newFolder(parent)
	if err != nil {
		return "", Record{}, usagef("store: %w", fullDisk(store, err))
	}
	record := Record{Format: checker.FormatEvidence, Started: started, Runtime: p.runtime.Name(), System: p.system.Name(), Notes: p.notes,
		Command: "faultline test " + filepath.Join(dir, fileScenario), Versions: versions()}
	err = errors.Join(
		writeFile(dir, fileScenario, p.stored().String()),
		writeFile(dir, fileTopology, p.topology.String()),
		writeFile(dir, fileSchedule, p.schedule.String()),
		writeJSON(dir, fileRecord, record),
	)
	if err != nil {
		return "", Record{}, errors.Join(usagef("store: %w", fullDisk(dir, err)), discard(dir))
	}
	return dir, record, nil
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

// announce points the links named latest at a run.
func announce(dir string) error {
	parent, run := filepath.Split(dir)
	store, scenario := filepath.Split(filepath.Clean(parent))
	return errors.Join(
		link(filepath.Join(scenario, run), filepath.Join(store, dirLatest)),
		link(run, filepath.Join(parent, dirLatest)),
	)
}

// discard removes the directory of a run in which nothing happened, and its scenario's
// folder if no other run is in it.
func discard(dir string) error {
	err := os.RemoveAll(dir)
	if parent := os.Remove(filepath.Dir(dir)); parent != nil && !errors.Is(parent, unix.ENOTEMPTY) {
		err = errors.Join(err, parent)
	}
	return err
}

// stored is the scenario as it is kept: it refers to the files beside it, not to files
// that may have changed by the time that somebody repeats it.
func (p *plan) stored() Scenario {
	s := p.scenario
	if strings.ContainsAny(s.Topology, "/.") {
		s.Topology = "./" + fileTopology
	}
	if s.Schedule != "" {
		s.Schedule = "./" + fileSchedule
	}
	return s
}

// checkStore tells whether a run directory can be made and filled below store, which
// need not exist yet.
func checkStore(store string) error {
	_, err := freeSpace(store)
	return err
}

func freeSpace(store string) (mib uint64, err error) {
	dir, err := existing(store)
	if err != nil {
		return 0, usagef("store %s: %w; give another --store", store, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, usagef("store %s: %w", store, err)
	}
	free := st.Bavail * uint64(st.Bsize)
	if free < minFree {
		return 0, usagef("store %s: %d MiB free, a run wants at least %d MiB: make room, or give another --store",
			store, free>>20, minFree>>20)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return 0, usagef("store %s: cannot write to %s: %w; give another --store", store, dir, err)
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

func writeJSON(dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(dir, name, string(data)+"\n")
}

func readRecord(dir string) (Record, error) {
	var r Record
	data, err := readRunFile(dir, fileRecord)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Join(dir, fileRecord), err)
	}
	return r, nil
}

// readSchedule reads resolved.yaml, or where the run did not live to write it, the
// schedule that was asked for.
func readSchedule(dir, name string) (nemesis.Schedule, string, error) {
	data, err := readRunFile(dir, name)
	if err != nil {
		return nemesis.Schedule{}, "", err
	}
	s, err := nemesis.Parse(filepath.Join(dir, name), data)
	return s, string(data), err
}

// link makes or moves a symbolic link, in one step for whoever reads it.
func link(target, path string) error {
	temp := path + "." + rand.Text()
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// Locate finds a run directory: path itself, or the newest run below it where path is a
// store, a scenario's folder, or one of the links named latest.
func Locate(path string) (string, error) {
	for _, dir := range []string{path, filepath.Join(path, dirLatest)} {
		_, err := os.Stat(filepath.Join(dir, fileScenario))
		if err == nil {
			return filepath.EvalSymlinks(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return "", usagef("run directory: %w", err)
		}
	}
	return "", usagef("%s holds no run: no %s there, nor in %s; give a run directory, or a store",
		path, fileScenario, filepath.Join(path, dirLatest))
}

func versions() map[string]string {
	v := map[string]string{"go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		v["kernel"] = unix.ByteSliceToString(uts.Release[:])
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v["faultline"] = info.Main.Version
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/hashicorp/raft", "github.com/hashicorp/memberlist", "github.com/anishathalye/porcupine",
			"github.com/ory/dockertest/v3":
			v[dep.Path] = dep.Version
		}
	}
	return v
}

package faultline

import (
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

	"faultline/nemesis"
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
	Started  time.Time         `json:"started"`
	Runtime  string            `json:"runtime"`
	System   string            `json:"system"`
	Command  string            `json:"command"` // repeats the run
	Notes    []string          `json:"notes,omitempty"`
	Versions map[string]string `json:"versions"`
}

// newRunDir makes store/SCENARIO/TIME and writes down what was asked.
func newRunDir(store string, p *plan) (string, Record, error) {
	started := time.Now().UTC()
	parent := filepath.Join(store, p.scenario.Name)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", Record{}, usagef("store: %w", err)
	}
	if err := checkFree(parent); err != nil {
		return "", Record{}, err
	}
	dir := filepath.Join(parent, started.Format("20060102T150405.000Z"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", Record{}, usagef("store: %w", err)
	}
	record := Record{Started: started, Runtime: p.runtime.Name(), System: p.system.Name(), Notes: p.notes,
		Command: "faultline test " + filepath.Join(dir, fileScenario), Versions: versions()}
	err := errors.Join(
		writeFile(dir, fileScenario, p.stored().String()),
		writeFile(dir, fileTopology, p.topology.String()),
		writeFile(dir, fileSchedule, p.schedule.String()),
		writeJSON(dir, fileRecord, record),
	)
	if err != nil {
		return "", Record{}, errors.Join(usagef("store: %w", err), os.RemoveAll(dir))
	}
	return dir, record, errors.Join(
		link(filepath.Join(p.scenario.Name, filepath.Base(dir)), filepath.Join(store, "latest")),
		link(filepath.Base(dir), filepath.Join(parent, "latest")),
	)
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

func checkFree(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return usagef("store %s: %w", dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < minFree {
		return usagef("store %s: %d MiB free, a run wants at least %d MiB: make room, or give another --store",
			dir, free>>20, minFree>>20)
	}
	return nil
}

func writeFile(dir, name, text string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
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
	data, err := os.ReadFile(filepath.Join(dir, fileRecord))
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
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nemesis.Schedule{}, "", err
	}
	s, err := nemesis.Parse(path, data)
	return s, string(data), err
}

// link makes or moves a symbolic link, in one step for whoever reads it.
func link(target, path string) error {
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// Locate finds a run directory: path itself, or the newest run below it where path is a
// store, a scenario's folder, or one of the links named latest.
func Locate(path string) (string, error) {
	for _, dir := range []string{path, filepath.Join(path, "latest")} {
		_, err := os.Stat(filepath.Join(dir, fileScenario))
		if err == nil {
			return filepath.EvalSymlinks(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", usagef("run directory: %w", err)
		}
	}
	return "", usagef("%s holds no run: no %s there, nor in %s", path, fileScenario, filepath.Join(path, "latest"))
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

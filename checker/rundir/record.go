package rundir

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes"
	"faultline/workloads/history"
)

// Record is versions.json: the programs and the machine of a run.
type Record struct {
	Format        int               `json:"format"` // of the run directory, see checker.FormatLatest
	Started       time.Time         `json:"started"`
	Runtime       string            `json:"runtime"`
	System        string            `json:"system"`
	Abilities     []history.Ability `json:"abilities"`                // of the system; null, in runs of old: all
	ExitsUnjoined bool              `json:"exits_unjoined,omitempty"` // see checker.Settings
	OwnCopy       history.Mode      `json:"own_copy,omitempty"`       // see checker.Settings
	Command       string            `json:"command"`                  // plays the scenario again, from the run directory
	Notes         []string          `json:"notes,omitempty"`
	Binary        *nodes.Binary     `json:"binary,omitempty"` // of a node of the system
	Versions      map[string]string `json:"versions"`         // see Versions
}

// WriteRecord writes versions.json.
func WriteRecord(dir string, r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return Write(dir, RecordFile, string(data)+"\n")
}

// ReadRecord reads versions.json.
func ReadRecord(dir string) (Record, error) {
	var r Record
	data, err := Read(dir, RecordFile)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Join(dir, RecordFile), err)
	}
	return r, nil
}

// AllVersions returns the versions of a record, and that of the tested binary under "tested
// binary".
func (r Record) AllVersions() map[string]string {
	all := map[string]string{}
	maps.Copy(all, r.Versions)
	if r.Binary == nil {
		return all
	}
	version := "sha256:" + r.Binary.SHA256
	if g := r.Binary.Go; g != nil {
		version = fmt.Sprintf("%s %s %s", cmp.Or(g.Module, g.Path), cmp.Or(g.Revision, g.Version), version)
	}
	all["tested binary"] = version
	return all
}

// recorded are the modules whose versions a record holds: what agrees, what gossips, what
// judges, what starts containers.
var recorded = map[string]bool{
	"github.com/hashicorp/raft":         true,
	"github.com/hashicorp/memberlist":   true,
	"github.com/anishathalye/porcupine": true,
	"github.com/ory/dockertest/v3":      true,
}

// Versions returns the versions of this program and its platform, by name: go, platform, kernel,
// faultline, and some modules by their paths. What is not known is left out.
func Versions() map[string]string {
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
		if recorded[dep.Path] {
			v[dep.Path] = dep.Version
		}
	}
	return v
}

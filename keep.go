package faultline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"faultline/checker"
	"faultline/nemesis"
)

// dirKeptTopologies is beside kept scenarios: what lies in their own folder is played.
const dirKeptTopologies = "topologies"

// Kept lists the scenarios that runs before this one have kept in a folder (Options.Keep).
// There are none if there is no such folder, or nothing in it.
func Kept(dir string) ([]Scenario, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(found) == 0 {
		return nil, usage(err)
	}
	return LoadSuite(dir)
}

// keep writes a run that was invalid down as a scenario of its own, with the steps as they
// were resolved, so that it can be played again before anything new is tried. It tells the
// file; there is none where the run was of a kept scenario itself.
func keep(dir string, s Scenario, o Outcome) (file string, err error) {
	if o.Verdict != checker.Invalid || filepath.Clean(filepath.Dir(s.file)) == filepath.Clean(dir) {
		return "", nil
	}
	again, err := keptScenario(o)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if strings.ContainsAny(again.Topology, "/.") {
		again.Topology = filepath.Join(".", dirKeptTopologies, again.Name+".yaml")
		if err := writeFile(dir, again.Topology, o.Report.TopologyText); err != nil {
			return "", err
		}
		again.Topology = "./" + again.Topology
	}
	return filepath.Join(dir, again.Name+".yaml"), writeFile(dir, again.Name+".yaml", again.String())
}

// keptScenario is the scenario of an outcome, with its steps in place of what made them.
func keptScenario(o Outcome) (Scenario, error) {
	s, err := readScenario(o.Dir)
	if err != nil {
		return s, err
	}
	schedule, _, err := readSchedule(o.Dir, fileResolved)
	if errors.Is(err, fs.ErrNotExist) { // the run ended before
		schedule, _, err = readSchedule(o.Dir, fileSchedule)
	}
	if err != nil {
		return s, err
	}
	const mostName = 61 // of a scenario
	suffix := fmt.Sprintf("-%d", s.Seed)
	s.Doc = fmt.Sprintf("Was invalid on %s, with the seed %d.", o.Report.Started.Format("2006-01-02"), s.Seed)
	s.Name = s.Name[:min(len(s.Name), mostName-len(suffix))] + suffix
	s.Nemesis, s.Schedule, s.Steps = nil, "", nemesis.Steps(schedule.Steps)
	return s, nil
}

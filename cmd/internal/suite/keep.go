package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"faultline"
	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/nemesis"
)

// dirKeptTopologies is beside kept scenarios: what lies in their own folder is played.
const dirKeptTopologies = "topologies"

// Kept lists the scenarios that runs before this one have kept in a folder (Options.Keep).
// There are none if there is no such folder, or nothing in it.
func Kept(dir string) ([]faultline.Scenario, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return faultline.LoadSuite(dir)
}

// keep writes a run that was invalid down as a scenario of its own, with the steps as they
// were resolved, so that it can be played again before anything new is tried. It returns
// the file; there is none where the run was of a kept scenario itself.
func keep(dir string, s faultline.Scenario, o faultline.Outcome) (file string, err error) {
	if o.Verdict != checker.Invalid || filepath.Clean(filepath.Dir(s.File())) == filepath.Clean(dir) {
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
		if err := rundir.Write(dir, again.Topology, o.Report.TopologyText); err != nil {
			return "", err
		}
		again.Topology = "./" + again.Topology
	}
	return filepath.Join(dir, again.Name+".yaml"), rundir.Write(dir, again.Name+".yaml", again.String())
}

// keptScenario is the scenario of an outcome, with its steps in place of what made them.
func keptScenario(o faultline.Outcome) (faultline.Scenario, error) {
	s, err := readScenario(o.Dir)
	if err != nil {
		return s, err
	}
	schedule, err := readSchedule(o.Dir, rundir.ResolvedFile)
	if errors.Is(err, fs.ErrNotExist) { // the run ended before
		schedule, err = readSchedule(o.Dir, rundir.ScheduleFile)
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

func readScenario(dir string) (faultline.Scenario, error) {
	data, err := rundir.Read(dir, rundir.ScenarioFile)
	if err != nil {
		return faultline.Scenario{}, err
	}
	return faultline.ParseScenario(filepath.Join(dir, rundir.ScenarioFile), data)
}

func readSchedule(dir, name string) (nemesis.Schedule, error) {
	data, err := rundir.Read(dir, name)
	if err != nil {
		return nemesis.Schedule{}, err
	}
	return nemesis.Parse(filepath.Join(dir, name), data)
}

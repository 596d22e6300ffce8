package faultline

import (
	"errors"
	"path/filepath"
	"strings"

	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/nemesis"
	"faultline/nodes/declared"
)

// newRunDir makes store/SCENARIO/TIME and writes down what was asked.
func newRunDir(store string, p *plan) (string, rundir.Record, error) {
	dir, started, err := rundir.Create(store, p.scenario.Name)
	if err != nil {
		return "", rundir.Record{}, usagef("store: %w", fullDisk(store, err))
	}
	record := rundir.Record{Format: checker.FormatLatest, Started: started, Runtime: p.runtime.Name(), System: p.system.Name(), Abilities: p.abilities, ExitsUnjoined: p.exits, OwnCopy: p.ownCopy, Notes: p.notes,
		Command: "faultline test " + rundir.ScenarioFile, Versions: rundir.Versions()}
	if system, ok := p.system.(*declared.System); ok {
		err = rundir.Write(dir, rundir.SystemFile, system.File().String())
	}
	err = errors.Join(err,
		rundir.Write(dir, rundir.ScenarioFile, p.stored().String()),
		rundir.Write(dir, rundir.TopologyFile, p.topology.String()),
		rundir.Write(dir, rundir.ScheduleFile, p.schedule.String()),
		rundir.WriteRecord(dir, record),
	)
	if err != nil {
		return "", rundir.Record{}, errors.Join(usagef("store: %w", fullDisk(dir, err)), rundir.Discard(dir))
	}
	return dir, record, nil
}

// stored is the scenario as it is kept: it refers to the files beside it, not to files
// that may have changed by the time that somebody repeats it.
func (p *plan) stored() Scenario {
	s := p.scenario
	if strings.ContainsAny(s.Topology, "/.") || p.ownTopology {
		s.Topology = "./" + rundir.TopologyFile
	}
	if isFile(s.System) {
		s.System = "./" + rundir.SystemFile
	}
	if weights, err := s.weights(); err == nil { // it was drawn with them
		s.NemesisWeights = weights.String()
	}
	if s.Schedule != "" {
		s.Schedule = "./" + rundir.ScheduleFile
	}
	return s
}

func checkStore(store string) error { return usage(rundir.CheckStore(store)) }

// readSchedule reads a schedule of a run directory, and returns its text, too.
func readSchedule(dir, name string) (nemesis.Schedule, string, error) {
	data, err := rundir.Read(dir, name)
	if err != nil {
		return nemesis.Schedule{}, "", err
	}
	s, err := nemesis.Parse(filepath.Join(dir, name), data)
	return s, string(data), err
}

package faultline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Outcome is a judged run.
type Outcome struct {
	Dir     string
	Verdict checker.Verdict
	Results []checker.Result
	Report  report.Data // what the reports show; a suite's reports are made of these
}

// Analyze judges a run directory and writes its reports. It reads nothing else, so a
// stored run gives the same results wherever and whenever it is judged. When ctx ends
// first, nothing is written.
func Analyze(ctx context.Context, dir string) (Outcome, error) { return Default().Analyze(ctx, dir) }

// Analyze is the package's Analyze, by this registry.
func (r Registry) Analyze(ctx context.Context, dir string) (Outcome, error) {
	stored, err := loadRun(dir)
	if err != nil {
		return Outcome{Dir: dir}, usage(err)
	}
	checkers, err := r.checkers(stored.run.Settings.Workload)
	if err != nil {
		return Outcome{Dir: dir}, usage(fmt.Errorf("%s: %w", dir, err))
	}
	verdict, results := checker.Judge(ctx, stored.run, checkers)
	if ctx.Err() != nil {
		return Outcome{Dir: dir}, fmt.Errorf("%w before all was judged; `faultline analyze %s` judges it", ErrInterrupted, dir)
	}
	if err := writePictures(dir, results); err != nil {
		return Outcome{Dir: dir}, fullDisk(dir, err)
	}
	o := Outcome{Dir: dir, Verdict: verdict, Results: results, Report: stored.data(dir, verdict, results)}
	if err := writeReports(o); err != nil {
		return Outcome{Dir: dir}, fullDisk(dir, err)
	}
	return o, nil
}

// storedRun is a run directory, read.
type storedRun struct {
	scenario  Scenario
	record    rundir.Record
	run       *checker.Run
	notes     []string
	resolved  string
	scheduled string
	steps     int // of the schedule
}

func loadRun(dir string) (*storedRun, error) {
	scenario, err := readScenario(dir)
	if err != nil {
		return nil, err
	}
	text, err := rundir.Read(dir, rundir.TopologyFile)
	if err != nil {
		return nil, err
	}
	topology, err := topologies.Parse(filepath.Join(dir, rundir.TopologyFile), text)
	if err != nil {
		return nil, err
	}
	record, err := rundir.ReadRecord(dir)
	if err != nil {
		return nil, err
	}
	schedule, scheduled, err := readSchedule(dir, rundir.ScheduleFile)
	if err != nil {
		return nil, err
	}
	_, resolved, err := readSchedule(dir, rundir.ResolvedFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a killed run has none
		return nil, err
	}
	events, truncated, err := readHistory(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no %s: the run ended before its cluster was up, so there is nothing to judge", dir, rundir.HistoryFile)
	}
	if err != nil {
		return nil, err
	}
	ops, err := history.Operations(events)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, rundir.HistoryFile), err)
	}
	faults, baseline, err := history.Faults(events)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, rundir.HistoryFile), err)
	}
	p := plan{scenario: scenario.Defaults(), schedule: schedule, format: record.Format, abilities: record.Abilities, exits: record.ExitsUnjoined, ownCopy: record.OwnCopy}
	s := &storedRun{scenario: scenario, record: record, scheduled: scheduled, resolved: resolved, steps: len(schedule.Steps), notes: record.Notes,
		run: &checker.Run{Settings: p.settings(), Topology: topology, Events: events, Ops: ops, Faults: faults, Baseline: baseline}}
	s.notes = append(s.notes, cutShort(events)...)
	if truncated {
		s.notes = append(s.notes, "the history's last line was cut off; it was left out")
	}
	return s, nil
}

// cutShort notes where the run was stopped.
func cutShort(events []history.Event) (notes []string) {
	for i := range events {
		e := &events[i]
		for phase, what := range map[history.Phase]string{
			history.PhaseInterrupt: "interrupted by the user after %.1f s: what would have followed was not tried",
			history.PhaseFound:     "ended with its first violation, seen after %.1f s: what would have followed was not tried",
		} {
			if e.Process == history.Harness && string(e.Value) == strconv.Quote(string(phase)) {
				notes = append(notes, fmt.Sprintf(what, time.Duration(e.Time).Seconds()))
			}
		}
	}
	return notes
}

func readScenario(dir string) (Scenario, error) {
	text, err := rundir.Read(dir, rundir.ScenarioFile)
	if err != nil {
		return Scenario{}, err
	}
	return ParseScenario(filepath.Join(dir, rundir.ScenarioFile), text)
}

func readHistory(dir string) (events []history.Event, truncated bool, err error) {
	f, err := rundir.Open(dir, rundir.HistoryFile)
	if err != nil {
		return nil, false, err
	}
	defer f.Close() // was only read
	events, truncated, err = history.Read(f)
	if err != nil {
		return nil, false, fmt.Errorf("%s:%w", filepath.Join(dir, rundir.HistoryFile), err)
	}
	return events, truncated, nil
}

func (s *storedRun) data(dir string, verdict checker.Verdict, results []checker.Result) report.Data {
	length := time.Duration(0)
	if n := len(s.run.Events); n > 0 {
		length = time.Duration(s.run.Events[n-1].Time)
	}
	return report.Data{
		Scenario: s.scenario.Name, Seed: s.scenario.Seed, Command: s.repeat(fromHere(dir)), CommandInDir: s.repeat("") + "  # in the run directory", Started: s.record.Started, Length: length,
		Runtime: s.record.Runtime, System: s.systemName(), Verdict: verdict, Results: results, Run: s.run,
		ScenarioText: s.scenario.String(), ScheduleText: s.scheduled, ResolvedText: s.resolved,
		TopologyText: s.run.Topology.String(), Versions: s.record.AllVersions(), Notes: s.notes, Dir: dir,
	}
}

// repeat is the command that plays the run again as it was: its steps aimed at the nodes that they hit. The path
// leads to the run directory from where the command is given.
func (s *storedRun) repeat(path string) string {
	command := "faultline test " + filepath.Join(path, rundir.ScenarioFile)
	switch {
	case s.resolved != "" && s.steps > 0:
		command += " --schedule " + filepath.Join(path, rundir.ResolvedFile)
	case s.steps > 0: // it was killed before
		command += " --schedule " + filepath.Join(path, rundir.ScheduleFile)
	}
	return command
}

// fromHere is the path of a directory from the working directory, if it lies below that.
func fromHere(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	if below, err := filepath.Rel(here, dir); err == nil && filepath.IsLocal(below) {
		return below
	}
	return dir
}

func (s *storedRun) systemName() string {
	if len(s.scenario.Defects) == 0 {
		return s.record.System
	}
	return fmt.Sprintf("%s with planted %s", s.record.System, strings.Join(s.scenario.Defects, ", "))
}

// writePictures keeps Porcupine's pages beside the report and notes where.
func writePictures(dir string, results []checker.Result) error {
	if err := rundir.RemoveFolder(dir, rundir.PicturesDir); err != nil { // of an earlier analysis
		return err
	}
	for i := range results {
		for j := range results[i].Counterexamples {
			c := &results[i].Counterexamples[j]
			if len(c.Picture) == 0 {
				continue
			}
			c.File = filepath.Join(rundir.PicturesDir, rundir.FileSafe(c.Key)+".html")
			if err := rundir.Write(dir, c.File, string(c.Picture)); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeReports(o Outcome) error {
	results, err := json.MarshalIndent(struct {
		Scenario string           `json:"scenario"`
		Verdict  checker.Verdict  `json:"verdict"`
		Results  []checker.Result `json:"results"`
	}{o.Report.Scenario, o.Verdict, o.Results}, "", "  ")
	if err != nil {
		return err
	}
	data := o.Report
	data.Command = data.CommandInDir // these files go where the directory goes
	page, err := report.HTML(data)
	if err != nil {
		return err
	}
	junit, err := report.JUnit(data)
	if err != nil {
		return err
	}
	return errors.Join(
		rundir.Write(o.Dir, rundir.ResultsFile, string(results)+"\n"),
		rundir.Write(o.Dir, rundir.ReportFile, string(page)),
		rundir.Write(o.Dir, rundir.JUnitFile, string(junit)),
		rundir.Write(o.Dir, rundir.SummaryFile, report.Markdown(data)),
	)
}

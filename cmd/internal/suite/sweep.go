package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/topologies"
	"faultline/topologies/strict"
	"faultline/workloads/history"
)

// Names in the directory of a sweep, STORE/sweeps/SCENARIO, beside the folders of its cells. Each of these is
// a store of its own.
const (
	SweepPage = "index.html"
	SweepCSV  = "sweep.csv"
	SweepJSON = "sweep.json"
	askFile   = "ask.json"  // what was asked
	cellFile  = "cell.json" // in the folder of a cell, once its run was judged
)

// Sweep plays a scenario with every combination of some values. What was played before, by a sweep that was
// interrupted, is not played again.
type Sweep struct {
	Scenario faultline.Scenario
	Axes     []report.Axis
	// Run plays a cell: faultline.Run.
	Run func(context.Context, faultline.Scenario, faultline.Options) (faultline.Outcome, error)
}

// Play plays what is missing, and writes the page anew after every cell. done is called with one cell at a time. An interrupt
// leaves what was judged, and the error says so.
func (s Sweep) Play(ctx context.Context, o Options, done func(report.Sweep, report.Cell)) (report.Sweep, error) {
	store := cmp.Or(o.Run.Store, "store")
	dir := filepath.Join(store, rundir.Sweeps, s.Scenario.Name)
	ask, err := s.ask()
	if err != nil {
		return report.Sweep{}, err
	}
	seed, err := ask.sameAs(dir)
	if err != nil {
		return report.Sweep{}, err
	}
	if s.Scenario.Seed = cmp.Or(s.Scenario.Seed, seed); s.Scenario.Seed == 0 {
		s.Scenario = s.Scenario.Drawn()
	}
	cells, err := cellsOf(s.Scenario, s.Axes)
	if err != nil {
		return report.Sweep{}, err
	}
	result := report.Sweep{Scenario: s.Scenario.Name, Doc: s.Scenario.Doc, Seed: s.Scenario.Seed, Directory: dir, Axes: s.Axes}
	var missing []int
	for i, c := range cells {
		kept, err := c.load(dir)
		if err != nil {
			return report.Sweep{}, err
		}
		if result.Cells = append(result.Cells, kept); kept.Verdict == "" {
			missing = append(missing, i)
			if err := faultline.Check(ctx, []faultline.Scenario{c.scenario}, c.options(o, dir)); err != nil {
				return report.Sweep{}, fmt.Errorf("%s: %w", result.Label(kept), err)
			}
		}
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), ask.write(dir, s.Scenario.Seed)); err != nil {
		return report.Sweep{}, &faultline.UsageError{Err: err}
	}
	var mu sync.Mutex
	stopped := forEach(ctx, o.Jobs, len(missing), func(n int) error {
		i := missing[n]
		played, err := s.playCell(ctx, cells[i], o, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", result.Label(cells[i].empty()), err)
		}
		mu.Lock()
		defer mu.Unlock()
		result.Cells[i] = played
		result.Finish()
		done(result, played)
		return writeSweep(dir, result)
	})
	if result.Finish(); result.Missing > 0 && stopped == nil {
		stopped = faultline.ErrInterrupted
	}
	if stopped != nil {
		result.Stopped = stopped.Error()
	}
	return result, errors.Join(stopped, writeSweep(dir, result))
}

// playCell plays a cell and keeps what was measured. A run that was interrupted is not kept: it is played again.
func (s Sweep) playCell(ctx context.Context, c sweepCell, o Options, dir string) (report.Cell, error) {
	if err := os.MkdirAll(filepath.Join(dir, c.name), 0o755); err != nil {
		return report.Cell{}, err
	}
	outcome, err := s.Run(ctx, c.scenario, c.options(o, dir))
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("%w before all was tried", faultline.ErrInterrupted)
	}
	if err != nil {
		return report.Cell{}, err
	}
	judged, err := c.judged(outcome, dir)
	if err != nil {
		return report.Cell{}, err
	}
	return judged, writeJSON(filepath.Join(dir, c.name), cellFile, judged)
}

// judged is a cell whose run was judged.
func (c sweepCell) judged(o faultline.Outcome, dir string) (report.Cell, error) {
	cell := c.empty()
	cell.Verdict, cell.Command, cell.Runtime, cell.System = o.Verdict, o.Report.Command, o.Report.Runtime, o.Report.System
	for _, r := range o.Results {
		switch r.Verdict {
		case checker.Invalid:
			cell.Invalid = append(cell.Invalid, r.Checker)
		case checker.Unknown:
			cell.Unknown = append(cell.Unknown, r.Checker)
		}
		if r.Verdict == o.Verdict && r.Verdict != checker.Valid && cell.Why == "" {
			cell.Why = r.Checker + ": " + r.Summary
		}
		if r.Checker == checker.ServiceLevelName {
			cell.ServiceLevel = r.Verdict
		}
	}
	var err error
	if cell.Run, err = filepath.Rel(dir, o.Dir); err != nil {
		return cell, err
	}
	run := o.Report.Run
	if run == nil {
		return cell, nil
	}
	cell.All = report.ServedOf(checker.ServiceOf(run, nil))
	if len(run.Topology.Datacenters) < 2 {
		return cell, nil
	}
	of := func(r checker.Requests) *report.Served {
		return report.ServedOf(checker.ServiceOf(run, func(op *history.Operation) bool { return run.RequestsOf(op) == r }))
	}
	cell.Local, cell.Forwarded = of(checker.Local), of(checker.Forwarded)
	cell.Echo = report.ServedOf(checker.EchoOf(run, c.scenario.Timeout))
	cell.TCP = c.tcpAlone(run.Topology)
	return cell, nil
}

// tcpAlone is what TCP alone would give on links that are all alike, and lose each packet by itself.
func (c sweepCell) tcpAlone(t topologies.Topology) *report.Served {
	all := t.Nodes()
	one := t.Link(all[0], all[len(all)-1]) // of the first and the last datacenter
	for _, a := range all {
		for _, b := range all {
			if l := t.Link(a, b); a.DC != b.DC && l != one {
				return nil
			}
		}
	}
	if one.BurstLoss > 0 || one.Rate > 0 || one.Loss >= 1 {
		return nil
	}
	return new(report.TCPAlone(2*one.Delay, one.Loss, c.scenario.Timeout))
}

// sweepCell is a combination, and the run that it asks for.
type sweepCell struct {
	name     string // of its folder
	values   []string
	scenario faultline.Scenario
	topology topologies.Topology // in place of the scenario's; without datacenters: that
}

func (c sweepCell) empty() report.Cell { return report.Cell{Values: c.values} }

func (c sweepCell) options(o Options, dir string) faultline.Options {
	run := o.Run
	run.Store, run.Topology = filepath.Join(dir, c.name), c.topology
	if o.Jobs > 1 && run.Progress != nil {
		run.Progress = named{run.Progress, c.name}
	}
	return run
}

// load is the cell as it was judged before, if it was.
func (c sweepCell) load(dir string) (report.Cell, error) {
	var kept report.Cell
	found, err := readJSON(filepath.Join(dir, c.name), cellFile, &kept)
	if err != nil || !found {
		return c.empty(), err
	}
	if _, err := os.Stat(filepath.Join(dir, kept.Run, rundir.ScenarioFile)); err != nil {
		return c.empty(), nil // whoever removed the run wants it played again
	}
	kept.Values = c.values
	return kept, nil
}

// writeSweep writes the page, and what programs read.
func writeSweep(dir string, s report.Sweep) error {
	page, err := report.SweepHTML(s)
	if err != nil {
		return err
	}
	table, err := report.SweepCSV(s)
	if err != nil {
		return err
	}
	return errors.Join(rundir.Write(dir, SweepPage, string(page)), rundir.Write(dir, SweepCSV, table), writeJSON(dir, SweepJSON, s))
}

// ask is what a sweep is asked to play.
type ask struct {
	Scenario string        `json:"scenario"` // its text, with the seed that was given
	Topology string        `json:"topology"` // before anything is varied
	Schedule string        `json:"schedule,omitempty"`
	Axes     []report.Axis `json:"axes"`
	Seed     uint64        `json:"seed"` // that was drawn, or given
}

func (s Sweep) ask() (ask, error) {
	t, err := topologies.Load(s.Scenario.Topology)
	if err != nil {
		return ask{}, &faultline.UsageError{Err: err}
	}
	a := ask{Scenario: s.Scenario.String(), Topology: t.String(), Axes: s.Axes}
	if s.Scenario.Schedule != "" {
		text, err := strict.ReadFile(s.Scenario.Schedule)
		if err != nil {
			return ask{}, &faultline.UsageError{Err: err}
		}
		a.Schedule = string(text)
	}
	return a, nil
}

// sameAs refuses a directory in which another sweep has begun; of this one it returns the seed, and 0 where none has begun.
func (a ask) sameAs(dir string) (seed uint64, err error) {
	var before ask
	found, err := readJSON(dir, askFile, &before)
	if err != nil || !found {
		return 0, err
	}
	for _, part := range []struct{ name, was, is string }{
		{"scenario", before.Scenario, a.Scenario}, {"topology", before.Topology, a.Topology},
		{"schedule", before.Schedule, a.Schedule}, {"--vary", axesText(before.Axes), axesText(a.Axes)},
	} {
		if part.was != part.is {
			return 0, &faultline.UsageError{Err: fmt.Errorf("%s holds a sweep of another %s (%s): give this one another --name or --store, or remove that folder",
				dir, part.name, differs(part.was, part.is))}
		}
	}
	return before.Seed, nil
}

func (a ask) write(dir string, seed uint64) error {
	a.Seed = seed
	return writeJSON(dir, askFile, a)
}

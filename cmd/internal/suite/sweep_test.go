package suite

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/topologies"
	"faultline/workloads/history"
)

// player stands in for clusters: it plays every cell in no time, and remembers which.
type player struct {
	mu      sync.Mutex
	played  []faultline.Scenario
	shapes  []topologies.Topology
	verdict func(faultline.Scenario) checker.Verdict
	before  func(n int) error // of the run number n
}

func (p *player) run(_ context.Context, s faultline.Scenario, o faultline.Options) (faultline.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.played, p.shapes = append(p.played, s), append(p.shapes, o.Topology)
	if p.before != nil {
		if err := p.before(len(p.played)); err != nil {
			return faultline.Outcome{}, err
		}
	}
	dir, _, err := rundir.Create(o.Store, s.Name)
	if err != nil {
		return faultline.Outcome{}, err
	}
	if err := rundir.Write(dir, rundir.ScenarioFile, s.String()); err != nil {
		return faultline.Outcome{}, err
	}
	shape := o.Topology
	if len(shape.Datacenters) == 0 {
		shape, err = topologies.Load(s.Topology)
	}
	v := checker.Valid
	if p.verdict != nil {
		v = p.verdict(s)
	}
	results := []checker.Result{{Checker: "register", Verdict: checker.Valid}, {Checker: checker.ServiceLevelName, Verdict: v, Summary: "so so"}}
	ops := []history.Operation{
		{F: history.OpRead, Node: "dc1-s1", Type: history.OK, Return: 5e6},
		{F: history.OpWrite, Node: "dc1-s1", DC: "dc2", Type: history.OK, Invoke: 1, Return: 90e6 + 1},
		{F: history.OpWrite, Node: "dc1-s1", DC: "dc2", Type: history.Fail, Error: history.DCDown, Invoke: 2, Return: 3},
	}
	return faultline.Outcome{Dir: dir, Verdict: v, Results: results,
		Report: report.Data{Command: "faultline test it", Runtime: "memory", System: "agent", Run: &checker.Run{Topology: shape, Ops: ops}}}, err
}

func sweepOf(t *testing.T, p *player, vary ...string) (Sweep, Options) {
	t.Helper()
	axes, err := ParseAxes(vary)
	require.NoError(t, err)
	s := faultline.Scenario{Name: "swept", Topology: "dc2-3x3"}.Defaults()
	return Sweep{Scenario: s, Axes: axes, Run: p.run}, Options{Run: faultline.Options{Store: t.TempDir()}}
}

func TestASweepPlaysEveryCombination(t *testing.T) {
	p := &player{}
	s, o := sweepOf(t, p, "wan.loss=0,0.05", "wan.rtt=40ms,150ms", "rate=50,70")
	o.Jobs = 3
	var seen []string
	all, err := s.Play(t.Context(), o, func(all report.Sweep, c report.Cell) { seen = append(seen, all.Label(c)) })
	require.NoError(t, err)
	require.Len(t, p.played, 8)
	require.Len(t, seen, 8)
	require.Equal(t, checker.Valid, all.Verdict)
	require.Equal(t, []string{"0", "40ms", "70"}, all.Cells[1].Values)
	seeds := map[uint64]bool{}
	for i, played := range p.played {
		require.Equal(t, "swept", played.Name)
		require.Contains(t, []float64{50, 70}, played.Rate)
		seeds[played.Seed] = true
		require.NotEmpty(t, p.shapes[i].Datacenters)
	}
	require.Len(t, seeds, 1, "one seed for all")

	c := all.Cells[7] // 0.05, 150ms, 70
	require.Equal(t, &report.Served{Asked: 1, Served: 1, Success: 1, Low: c.Local.Low, High: 1, P50Seconds: 0.005, P99Seconds: 0.005}, c.Local)
	require.Equal(t, 2, c.Forwarded.Asked)
	require.InDelta(t, 0.5, c.Forwarded.Success, 1e-9)
	require.InDelta(t, 0.09, c.Forwarded.P50Seconds, 1e-9)
	require.InDelta(t, 0.15, c.TCP.P50Seconds, 1e-9)
	require.InDelta(t, 0.5, c.TCP.P99Seconds, 1e-9)
	for _, name := range []string{SweepPage, SweepCSV, SweepJSON, filepath.Join(c.Run, rundir.ScenarioFile)} {
		require.FileExists(t, filepath.Join(all.Directory, name))
	}
	var read report.Sweep
	data, err := os.ReadFile(filepath.Join(all.Directory, SweepJSON))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, all, read)
}

func TestASweepGoesOnAfterAnInterrupt(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	p := &player{before: func(n int) error {
		if n == 3 {
			interrupt() // its run is healed and judged, but not all of it was tried
		}
		return nil
	}}
	s, o := sweepOf(t, p, "rate=10,20,30,40")
	all, err := s.Play(ctx, o, func(report.Sweep, report.Cell) {})
	require.ErrorIs(t, err, faultline.ErrInterrupted)
	require.Equal(t, 2, all.Missing)
	require.Equal(t, checker.Unknown, all.Verdict)
	seed := p.played[0].Seed

	p.before, p.played = nil, nil
	all, err = s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
	require.NoError(t, err)
	require.Zero(t, all.Missing)
	require.Equal(t, checker.Valid, all.Verdict)
	require.Len(t, p.played, 2)
	require.Equal(t, 30.0, p.played[0].Rate)
	require.Equal(t, seed, p.played[1].Seed, "the seed that was drawn is kept")

	again, err := s.Play(t.Context(), o, func(report.Sweep, report.Cell) { t.Error("nothing is left to play") })
	require.NoError(t, err)
	require.Equal(t, all, again)

	require.NoError(t, os.RemoveAll(filepath.Join(all.Directory, all.Cells[1].Run)))
	p.played = nil
	_, err = s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
	require.NoError(t, err)
	require.Len(t, p.played, 1, "whoever removes a run has it played again")
}

func TestAHarnessThatFailsStopsASweep(t *testing.T) {
	lost := errors.New("the engine is gone")
	p := &player{before: func(n int) error {
		if n == 2 {
			return lost
		}
		return nil
	}}
	s, o := sweepOf(t, p, "rate=10,20,30")
	all, err := s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
	require.ErrorIs(t, err, lost)
	require.ErrorContains(t, err, "rate=20: ")
	require.Len(t, p.played, 2)
	require.Equal(t, 2, all.Missing)
	require.Contains(t, all.Stopped, "the engine is gone")
}

func TestASweepTakesTheWorstVerdict(t *testing.T) {
	p := &player{verdict: func(s faultline.Scenario) checker.Verdict {
		return map[float64]checker.Verdict{10: checker.Valid, 20: checker.Invalid, 30: checker.Unknown}[s.Rate]
	}}
	s, o := sweepOf(t, p, "rate=10,20,30")
	all, err := s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
	require.NoError(t, err)
	require.Equal(t, checker.Invalid, all.Verdict)
	require.Equal(t, []string{checker.ServiceLevelName}, all.Cells[1].Invalid)
	require.Equal(t, checker.Invalid, all.Cells[1].ServiceLevel)
	require.Equal(t, "service-level: so so", all.Cells[1].Why)
	require.Equal(t, []string{checker.ServiceLevelName}, all.Cells[2].Unknown)
}

func TestAnotherSweepInTheSameFolderIsRefused(t *testing.T) {
	p := &player{}
	s, o := sweepOf(t, p, "rate=10,20")
	_, err := s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
	require.NoError(t, err)
	for want, change := range map[string]func(*Sweep){
		`another --vary ("rate=10,20" there, "rate=10,20,30" here)`:                func(s *Sweep) { s.Axes = []report.Axis{{Key: "rate", Values: []string{"10", "20", "30"}}} },
		`another scenario ("concurrency: 12" there, "concurrency: 7" here)`:        func(s *Sweep) { s.Scenario.Concurrency = 7 },
		`another scenario ("topology: dc2-3x3" there, "topology: dc2-3x3c2" here)`: func(s *Sweep) { s.Scenario.Topology = "dc2-3x3c2" },
	} {
		other := s
		change(&other)
		_, err := other.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*faultline.UsageError))
	}
	require.Len(t, p.played, 2)
}

func TestWhatIsVariedIsCheckedBeforeTheFirstRun(t *testing.T) {
	for want, vary := range map[string][]string{
		"--vary rate 0: want operations a second":                                     {"rate=1,0"},
		`--vary wan.loss "much": want a number`:                                       {"wan.loss=0,much"},
		`--vary no "wan.lost"; there is wan.loss, `:                                   {"wan.lost=1"},
		"--vary wan.… is about links between datacenters, and topology dc1-3 has one": {"wan.loss=0.1", "topology=dc1-3"},
		"--vary name: the name is that of the sweep":                                  {"name=a,b"},
		"wan.loss=0.99: ":             {"wan.loss=0,0.99"},
		`rate=10: no workload "swim"`: {"rate=10"},
	} {
		p := &player{}
		s, o := sweepOf(t, p, vary...)
		if vary[0] == "rate=10" {
			s.Scenario.Workload = "swim"
		}
		_, err := s.Play(t.Context(), o, func(report.Sweep, report.Cell) {})
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*faultline.UsageError))
		require.Empty(t, p.played)
		require.NoDirExists(t, filepath.Join(o.Run.Store, rundir.Sweeps))
	}
}

func TestAxesThatMakeNoSenseAreRefused(t *testing.T) {
	for want, vary := range map[string][]string{
		"a sweep varies something: give --vary ": nil,
		`--vary "rate": want KEY=VALUE`:          {"rate"},
		`--vary "=5": want KEY=VALUE`:            {"=5"},
		`--vary "rate=1,": want KEY=VALUE`:       {"rate=1,"},
		"--vary rate is given twice":             {"rate=1", "rate=2"},
		"--vary rate=1, 1: a value stands twice": {"rate=1, 1"},
	} {
		_, err := ParseAxes(vary)
		require.ErrorContains(t, err, want)
	}
}

func FuzzParseAxes(f *testing.F) {
	f.Add("wan.loss=0,0.05", "rate=10")
	f.Fuzz(func(t *testing.T, first, second string) {
		axes, err := ParseAxes([]string{first, second})
		if err != nil {
			return
		}
		var again []string
		for _, a := range axes {
			again = append(again, axesText([]report.Axis{a}))
		}
		same, err := ParseAxes(again)
		require.NoError(t, err)
		require.Equal(t, axes, same)
		name := folderName([]string{first, second})
		require.True(t, filepath.IsLocal(name) && filepath.Base(name) == name || name == "", name)
	})
}

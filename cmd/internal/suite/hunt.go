package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"faultline"
	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/nemesis"
	"faultline/workloads/history"
)

// Hunt looks for a violation: it plays a scenario with one drawn schedule after the other, and draws
// what has found something more often.
type Hunt struct {
	Scenario faultline.Scenario // with families of faults; its seed is the first
	Families []string           // that can be drawn
	Budget   time.Duration      // no run begins after that
	Runs     int                // at most so many; 0: as many as there is time for
	First    bool               // no run begins after the first violation
	Uniform  bool               // learn nothing: families are drawn as if nothing were known
	Learned  nemesis.Learned    // by hunts before; grows
}

// Play hunts. done is called with one outcome at a time.
func (h *Hunt) Play(ctx context.Context, o Options, done func(faultline.Outcome)) (Tally, error) {
	tally := Tally{ByKind: map[Kind]*nemesis.Count{}, Times: map[Kind][]time.Duration{}}
	if err := faultline.Check(ctx, []faultline.Scenario{h.Scenario}, o.Run); err != nil {
		return tally, err
	}
	o.Run.UntilInvalid = true
	began := time.Now()
	hunting, over := context.WithTimeout(ctx, h.Budget)
	defer over()
	random := rand.New(rand.NewPCG(h.Scenario.Seed, 2))
	runs := h.Runs
	if runs == 0 {
		runs = int(^uint(0) >> 1)
	}
	var mu sync.Mutex
	err := forEach(hunting, o.Jobs, runs, func(i int) error {
		s := h.Scenario
		s.Seed += uint64(i)
		if !h.Uniform {
			mu.Lock()
			s.NemesisWeights = h.Learned.Draw(random).String()
			mu.Unlock()
		}
		outcome, err := faultline.Run(ctx, s, o.of(s))
		if err != nil {
			return fmt.Errorf("seed %d: %w", s.Seed, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if err := h.count(&tally, outcome, time.Since(began)); err != nil {
			return err
		}
		if h.First && tally.All.Found > 0 {
			over()
		}
		done(outcome)
		return nil
	})
	return tally, err
}

// count learns from an outcome.
func (h *Hunt) count(tally *Tally, o faultline.Outcome, since time.Duration) error {
	schedule, err := readSchedule(o.Dir, rundir.ScheduleFile)
	if err != nil {
		return err
	}
	found := o.Verdict == checker.Invalid
	at, before := violatedAt(o), time.Duration(1<<63-1)
	if found {
		before = at - scheduleBegan(o)
	}
	had := kinds(schedule.Steps, before)
	tally.All.Add(found)
	if o.Verdict == checker.Unknown {
		tally.Unknown++
	}
	if found && tally.First == "" {
		tally.First, tally.ToFirst = o.Dir, since
	}
	var families []string
	for _, k := range had {
		families = append(families, k.Family)
		if tally.ByKind[k] == nil {
			tally.ByKind[k] = &nemesis.Count{}
		}
		tally.ByKind[k].Add(found)
		if found {
			tally.Times[k] = append(tally.Times[k], at)
		}
	}
	h.Learned.Add(told(h.Families, schedule.Steps, families), families, found)
	return nil
}

// told leaves out the families of which a run says nothing: it was to have steps of them, and ended before any began.
func told(all []string, planned []nemesis.Step, begun []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !slices.Contains(begun, name) && slices.ContainsFunc(planned, func(s nemesis.Step) bool { return s.Fault.Kind().Family == name })
	})
}

// violatedAt is when a run could first be seen to be invalid: the answer that completes the first of its
// counterexamples, or else its end.
func violatedAt(o faultline.Outcome) time.Duration {
	first := o.Report.Length
	for _, r := range o.Results {
		for _, c := range r.Counterexamples {
			var last int64
			for _, op := range c.Ops {
				if op.Return != history.Pending {
					last = max(last, op.Return)
				}
			}
			first = min(first, time.Duration(last))
		}
	}
	return first
}

// scheduleBegan is when the schedule of a run began, by its clock: 0 of a step that began is that.
func scheduleBegan(o faultline.Outcome) time.Duration {
	schedule, err := readSchedule(o.Dir, rundir.ScheduleFile)
	if err != nil || o.Report.Run == nil {
		return 0
	}
	for _, f := range o.Report.Run.Faults {
		if f.Step >= 0 && f.Step < len(schedule.Steps) {
			return max(0, time.Duration(f.Start)-schedule.Steps[f.Step].At)
		}
	}
	return o.Report.Length // nothing had begun
}

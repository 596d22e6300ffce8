package checker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// ServiceLevelName is the checker of what a scenario says of its service, apart from those of promises.
const ServiceLevelName = "service-level"

// ServiceLevel is what a scenario says of how well its clients are served, faults included: a share of success, a latency, or
// both. It is the scenario's own word, and no promise of the system.
type ServiceLevel struct {
	When     Condition    `yaml:"when,omitempty" json:"when,omitempty"`         // where it does not hold, the level says nothing
	Requests Requests     `yaml:"requests,omitempty" json:"requests,omitempty"` // forwarded or local; empty: all
	From     string       `yaml:"from,omitempty" json:"from,omitempty"`         // datacenter of the node that is asked; empty: any
	To       string       `yaml:"to,omitempty" json:"to,omitempty"`             // datacenter whose data are meant; empty: any
	Op       history.Op   `yaml:"op,omitempty" json:"op,omitempty"`             // empty: all but watches
	Mode     history.Mode `yaml:"mode,omitempty" json:"mode,omitempty"`         // of reads; empty: any

	Success float64       `yaml:"success,omitempty" json:"success,omitempty"` // least share of operations that are served
	P50     time.Duration `yaml:"p50,omitempty" json:"p50,omitempty"`         // most that this quantile of those that are served takes
	P99     time.Duration `yaml:"p99,omitempty" json:"p99,omitempty"`
}

// Check refuses a level that says nothing, or that no operation can reach.
func (l ServiceLevel) Check() error {
	if _, err := l.When.parse(); err != nil {
		return fmt.Errorf("when: %w", err)
	}
	switch {
	case l.Success == 0 && l.P50 == 0 && l.P99 == 0:
		return errors.New("it states neither success nor p50 nor p99")
	case !(l.Success >= 0 && l.Success < 1):
		return fmt.Errorf("success %v: want a share below 1, such as 0.999; that all are served no number of operations shows", l.Success)
	case l.P50 < 0 || l.P99 < 0:
		return fmt.Errorf("p50 %v, p99 %v: want times of more than 0", l.P50, l.P99)
	case l.Requests != "" && l.Requests != Forwarded && l.Requests != Local:
		return fmt.Errorf("requests %q: want %s or %s", l.Requests, Forwarded, Local)
	case l.Op == history.OpWatch:
		return errors.New("a watch is meant to wait, so it has no service level")
	}
	return nil
}

// Fits refuses a level about a datacenter that the topology does not have.
func (l ServiceLevel) Fits(t topologies.Topology) error {
	for _, name := range []string{l.From, l.To} {
		if name != "" && !slices.ContainsFunc(t.Datacenters, func(d topologies.Datacenter) bool { return d.Name == name }) {
			return fmt.Errorf("no datacenter %q in topology %s", name, t.Name)
		}
	}
	return nil
}

// String says of what it is, and when.
func (l ServiceLevel) String() string {
	words := []string{string(l.Requests), string(l.Mode), string(l.Op)}
	if l.From != "" {
		words = append(words, "from "+l.From)
	}
	if l.To != "" {
		words = append(words, "to "+l.To)
	}
	if l.When != "" {
		words = append(words, "at "+string(l.When))
	}
	if text := strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "); text != "" {
		return text
	}
	return "all operations"
}

// holds reports whether the level says anything about a run.
func (l ServiceLevel) holds(run *Run) bool { return l.When.holds(run.Topology, l.From, l.To) }

func (l ServiceLevel) of(run *Run) func(op *history.Operation) bool {
	return func(op *history.Operation) bool {
		n, _ := run.Topology.Node(op.Node)
		to := op.DC
		if to == "" {
			to = n.DC
		}
		return (l.Op == "" || op.F == l.Op) && (l.Mode == "" || op.Mode == l.Mode) && (l.From == "" || n.DC == l.From) && (l.To == "" || to == l.To) &&
			(l.Requests == "" || run.RequestsOf(op) == l.Requests)
	}
}

// statesLevels is what a run lacks of which no service level says anything.
func statesLevels(run *Run) string {
	switch levels := run.Settings.ServiceLevels; {
	case len(levels) == 0:
		return "the scenario states no service levels"
	case !slices.ContainsFunc(levels, func(l ServiceLevel) bool { return l.holds(run) }):
		return "none of the service levels is stated for links like these: " + levels[0].String()
	}
	return ""
}

// checkServiceLevel judges every level whose condition holds. A level is kept, or broken, if that is certain by 95 %:
// of success by Wilson's interval, of a quantile by its order statistics. Both take operations for trials that do not
// depend on each other; how many there must be is said where they are too few. What the harness or an unproved heal may have caused is not held
// against anybody.
func checkServiceLevel(_ context.Context, run *Run) Result {
	r := Result{Verdict: Valid}
	texts := map[Verdict][]string{}
	for _, l := range run.Settings.ServiceLevels {
		if !l.holds(run) {
			continue
		}
		s := ServiceOf(run, l.of(run))
		share, _, _ := s.Success()
		name := l.String()
		r.Metrics = append(r.Metrics, Metric{name + ": operations", float64(s.Asked), ""}, Metric{name + ": success rate", 100 * share, "%"},
			Metric{name + ": latency p50", s.Latency(0.5).Seconds() * 1000, "ms"}, Metric{name + ": latency p99", s.Latency(0.99).Seconds() * 1000, "ms"})
		for _, f := range l.judge(s) {
			texts[f.verdict] = append(texts[f.verdict], name+": "+f.text)
		}
	}
	r.Reasons = slices.Concat(texts[Invalid], texts[Unknown])
	switch excuses := levelExcuses(run); {
	case len(texts[Invalid]) > 0 && len(excuses) == 0:
		r.Verdict = Invalid
	case len(r.Reasons) > 0:
		r.Verdict, r.Reasons = Unknown, append(r.Reasons, excuses...)
	}
	r.Summary = strings.Join(texts[Valid], "; ")
	if len(r.Reasons) > 0 {
		r.Summary = r.Reasons[0]
	}
	return r
}

// levelExcuses are those of an outage, and any time in which the harness stood still, as its clients' operations then seem slow.
func levelExcuses(run *Run) []string {
	excuses := excuse(run)
	spans, _, _, _ := phases(run) // of which excuse says if they cannot be read
	for _, s := range silent(run, spans) {
		if text := fmt.Sprintf("the harness stood still from %s to %s, and its clients with it", clock(s.from), clock(s.to)); !slices.Contains(excuses, text) {
			excuses = append(excuses, text)
		}
	}
	return excuses
}

// finding is what is to be said of one number of a level.
type finding struct {
	verdict Verdict
	text    string
}

func (l ServiceLevel) judge(s Service) (all []finding) {
	if l.Success > 0 {
		all = append(all, judgeSuccess(s, l.Success))
	}
	for _, q := range []struct {
		name  string
		share float64
		limit time.Duration
	}{{"p50", 0.5, l.P50}, {"p99", 0.99, l.P99}} {
		if q.limit > 0 {
			all = append(all, judgeLatency(s, q.name, q.share, q.limit))
		}
	}
	return all
}

func judgeSuccess(s Service, least float64) finding {
	share, low, high := s.Success()
	text := fmt.Sprintf("%d of %s were served: %.4g %%, by 95 %% between %.4g and %.4g %%; the level is %.4g %%",
		s.Served, plural(s.Asked, "operation"), 100*share, 100*low, 100*high, 100*least)
	judge := func(k, n int) Verdict {
		switch low, high := Wilson(k, n); {
		case low >= least:
			return Valid
		case high < least:
			return Invalid
		}
		return Unknown
	}
	v := judge(s.Served, s.Asked)
	if v == Unknown {
		failed := 1 - share
		if s.Asked == 0 {
			failed = 0
		}
		text += "; " + itWouldTake(s.Asked, failed, func(failed, n int) bool { return judge(n-failed, n) != Unknown })
	}
	return finding{v, text}
}

// judgeLatency: a quantile q of so many operations is at most the limit if too few are slower: fewer than would be by chance if the share 1-q, or
// more, were. The same with order statistics: the whole interval of the quantile lies on one side of the limit.
func judgeLatency(s Service, name string, q float64, limit time.Duration) finding {
	slow := s.slower(limit)
	text := fmt.Sprintf("%s is %s, and %d of %s took longer than %s", name, ms(int64(s.Latency(q))), slow, plural(s.Served, "operation"), ms(int64(limit)))
	judge := func(slow, n int) Verdict {
		switch {
		case atMost(slow, n, 1-q) <= tail:
			return Valid
		case 1-atMost(slow-1, n, 1-q) <= tail:
			return Invalid
		}
		return Unknown
	}
	v := judge(slow, s.Served)
	if v == Unknown {
		text += "; " + itWouldTake(s.Served, float64(slow)/float64(max(1, s.Served)), func(slow, n int) bool { return judge(slow, n) != Unknown })
	}
	return finding{v, text}
}

// mostTold is the largest number of operations that is looked at for what it would take.
const mostTold = 1_000_000

// itWouldTake says how many operations would be enough, within a tenth, if the same share of them failed.
func itWouldTake(n int, failed float64, enough func(failed, n int) bool) string {
	for n = max(n, 10); n < mostTold; n += max(1, n/10) {
		if enough(int(failed*float64(n)+0.5), n) {
			return fmt.Sprintf("to tell, it would take about %d such operations", n)
		}
	}
	return "so close to the level, no number of operations within reach tells"
}

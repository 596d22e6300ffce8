package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"faultline/topologies"
	"faultline/workloads/history"
)

// tellsWAN is what a run lacks in which nobody was asked whom it knows of other datacenters.
func tellsWAN(run *Run) string {
	if one := joinsDCs(run); one != "" {
		return one
	}
	if !slices.ContainsFunc(run.Events, func(e history.Event) bool { return e.Process == history.Observer && e.F == history.FWan }) {
		return "no server told whom it knows of other datacenters"
	}
	return ""
}

// wanLook is what a server told of the pool at a time.
type wanLook struct {
	at   int64
	view history.WANView
	gaps []string // how it was not the servers that should run
}

// checkWAN judges the pool by which datacenters know of each other. It never has a member that is no server. Within
// Settings.RecoverWithin after the last heal each server that should run knows all others, of every datacenter, to be alive, and nobody else.
// One right view of a server is enough, since what pools take for failed is a guess that a busy machine may
// deny for a while; a wrong one is held against it if all were wrong until the bound was over.
func checkWAN(_ context.Context, run *Run) Result {
	_, ended, interrupted, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	looks, err := wanLooks(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid}
	r.Reasons = strangers(run, looks)
	if len(r.Reasons) > 0 {
		r.Verdict = Invalid
	}
	if len(run.Ops) == 0 {
		return Result{Verdict: Worst(r.Verdict, Unknown), Summary: "no client asked for anything", Reasons: r.Reasons}
	}
	since, after, err := lastHeal(run)
	if err != nil {
		r.Verdict, r.Reasons = Worst(r.Verdict, Unknown), append(r.Reasons, err.Error())
		r.Summary, r.Reasons = r.Reasons[0], capped(r.Reasons)
		return r
	}
	excuses := excuse(run)
	limit, slowest := int64(run.Settings.RecoverWithin), int64(0)
	for _, n := range run.Topology.Servers() {
		late := slices.DeleteFunc(slices.Clone(looks[n.Name]), func(l wanLook) bool { return l.at < since })
		if i := slices.IndexFunc(late, func(l wanLook) bool { return len(l.gaps) == 0 }); i >= 0 {
			slowest = max(slowest, late[i].at-since)
			continue
		}
		if len(late) == 0 {
			r.Verdict, r.Reasons = Worst(r.Verdict, Unknown), append(r.Reasons, fmt.Sprintf("%s was not asked for the pool after %s", n.Name, after))
			continue
		}
		last := late[len(late)-1]
		text := fmt.Sprintf("to %s, %s after %s, %s", n.Name, ms(last.at-since), after, last.gaps[0])
		if more := len(last.gaps) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
		if limit > 0 && last.at-since >= limit && len(late) >= minTries && len(excuses) == 0 && ended && !interrupted {
			r.Verdict = Invalid
			text += fmt.Sprintf("; allowed are %s", ms(limit))
		} else {
			r.Verdict = Worst(r.Verdict, Unknown)
		}
		r.Reasons = append(r.Reasons, text)
	}
	if !ended {
		r.Verdict, r.Reasons = Worst(r.Verdict, Unknown), append(r.Reasons, cutOff)
	}
	servers := len(run.Topology.Servers())
	r.Metrics = []Metric{{"servers", float64(servers), ""}, {"slowest to know all servers, after the last heal", seconds(slowest), "s"}}
	r.Summary = fmt.Sprintf("each of %s of %s knew just the others %s after %s", plural(servers, "server"), dcsOf(run), ms(slowest), after)
	if len(r.Reasons) > 0 {
		r.Summary = r.Reasons[0]
		r.Reasons = capped(append(r.Reasons, excuses...))
	}
	return r
}

// wanLooks collects what servers told, by server. One that did not answer told something wrong.
func wanLooks(run *Run) (map[string][]wanLook, error) {
	wanted := map[string][]string{}
	for _, n := range run.Topology.Servers() {
		wanted[n.DC] = append(wanted[n.DC], n.Name)
	}
	looks := map[string][]wanLook{}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FWan {
			continue
		}
		l := wanLook{at: e.Time}
		if err := json.Unmarshal(e.Value, &l.view); err != nil {
			return nil, fmt.Errorf("event %d: a view of the pool that cannot be read: %w", e.Index, err)
		}
		if l.gaps = l.view.Gaps(wanted); l.view.Error != "" {
			l.gaps = []string{"nobody is known, as it did not answer: " + l.view.Error}
		}
		looks[e.Node] = append(looks[e.Node], l)
	}
	return looks, nil
}

// strangers tells of members that are no servers, each once, at whatever time.
func strangers(run *Run, looks map[string][]wanLook) (reasons []string) {
	said := map[string]bool{}
	for _, n := range run.Topology.Nodes() {
		for _, l := range looks[n.Name] {
			for _, m := range l.view.Members {
				is, _ := run.Topology.Node(m.Name)
				if (!m.Server || is.Role == topologies.Client) && !said[m.Name+m.DC] {
					said[m.Name+m.DC] = true
					reasons = append(reasons, fmt.Sprintf("at %s %s had %s of %s in the pool of servers, which is none", clock(l.at), n.Name, m.Name, m.DC))
				}
			}
		}
	}
	return reasons
}

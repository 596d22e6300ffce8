package checker

import (
	"fmt"
	"math/bits"
	"slices"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// majorityWindow is a time in which a majority of the servers was certainly well, and all others were
// certainly silent to it: a system that survives a broken minority has to serve then.
type majorityWindow struct {
	from, to int64
	servers  []string // the majority; all servers if nothing was broken
}

// majorityWindows lists them, in order, from the evidence of faults alone. Certain is what was asked for
// and measured between two changes of the nemesis. Whatever leaves a doubt ends a window: a change under
// way, a stage whose effect was not verified, a fault that changes the peer set.
//
//	nemesis   kill s3 begins   done, verified            heal begins
//	               |               |--- s1, s2 are well ---|
//
// Broken servers have to be dead, paused or cut off in both directions: one that is heard, and does not
// hear, may call elections without end, and one with a stuck disk may go on leading, in correct systems too.
func majorityWindows(run *Run) (all []majorityWindow, err error) {
	err = eachCertain(run, func(from, to int64, w *windows) {
		if servers := w.majority(); servers != nil {
			all = append(all, majorityWindow{from: from, to: to, servers: servers})
		}
	})
	return all, err
}

// eachCertain calls see for each time in which the conditions of the cluster are certain, in order: w knows them.
func eachCertain(run *Run, see func(from, to int64, w *windows)) error {
	w := windows{run: run, see: see, open: map[change]bool{}, members: map[int]bool{}, tainted: map[string]bool{}}
	end := clientsRest(run)
	for i := range run.Events {
		e := &run.Events[i]
		if e.Time >= end {
			break
		}
		if e.Process != history.Nemesis {
			continue
		}
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil {
			return fmt.Errorf("event %d: a fault event that cannot be read: %w", e.Index, err)
		}
		w.close(e.Time)
		w.change(m)
		w.reopen(e.Time)
	}
	w.close(end)
	return nil
}

// clientsRest is when clients stop to ask for what they like: at the final reads, or at an interrupt.
func clientsRest(run *Run) int64 {
	spans, _, _, err := phases(run)
	if err == nil {
		for _, p := range spans {
			if p.name == history.PhaseFinal || p.name == history.PhaseInterrupt {
				return p.from
			}
		}
	}
	return runEnd(run)
}

type change struct {
	step  int
	stage history.Stage
}

type windows struct {
	run     *Run
	see     func(from, to int64, w *windows)
	certain bool // since then
	since   int64
	asked   *faults.Conditions // of the whole cluster, measured to be so; nil: who knows
	open    map[change]bool    // begun and not done
	members map[int]bool       // steps that take servers in or out, until their heal is verified
	tainted map[string]bool    // nodes that may end by themselves, or may not start, by an earlier fault
}

func (w *windows) close(at int64) {
	if w.certain && at > w.since {
		w.see(w.since, at, w)
	}
	w.certain = false
}

// change takes in what the nemesis says.
func (w *windows) change(m history.FaultEvent) {
	is := change{m.Step, m.Stage}
	if !m.Done {
		w.open[is] = true
		if m.Rejoins {
			w.members[m.Step] = true
		}
		if m.Exits {
			for _, node := range m.Targets {
				w.tainted[node] = true
			}
		}
		return
	}
	delete(w.open, is)
	switch {
	case !m.Verified || m.Evidence == nil:
		w.asked = nil
	case m.Evidence.Want != nil:
		w.asked = m.Evidence.Want
	}
	if m.Stage == history.FaultHeal && m.Verified {
		delete(w.members, m.Step)
	}
}

func (w *windows) reopen(at int64) {
	w.certain, w.since = w.asked != nil && len(w.open) == 0 && len(w.members) == 0, at
}

// mostServers bounds the search for a majority, which looks at all sets of servers.
const mostServers = 12

// majority is the largest majority that is well and to which all other servers are silent; nil if there
// is none.
func (w *windows) majority() (best []string) {
	var all []string
	for _, n := range w.run.Topology.Servers() {
		all = append(all, n.Name)
	}
	if len(all) > mostServers || len(w.run.Topology.Datacenters) != 1 {
		return nil
	}
	for set := uint(1); set < 1<<len(all); set++ {
		if n := bits.OnesCount(set); n <= len(all)/2 || n <= len(best) {
			continue
		}
		var in, out []string
		for i, name := range all {
			if set&(1<<i) != 0 {
				in = append(in, name)
			} else {
				out = append(out, name)
			}
		}
		if w.wellTogether(in) && !slices.ContainsFunc(out, func(name string) bool { return !w.silentTo(name, in) }) {
			best = in
		}
	}
	return best
}

// wellTogether reports whether nothing is wrong with any of the servers, nor with a link between two.
func (w *windows) wellTogether(servers []string) bool {
	usual := w.run.Topology.Baseline()
	for _, a := range servers {
		if !w.well(a) {
			return false
		}
		for _, b := range servers {
			l := faults.Pair{From: a, To: b}
			is, was := w.asked.Links[l], usual.Links[l]
			is.Seed, was.Seed = 0, 0 // which depends on all nodes of all datacenters
			if is != was {
				return false
			}
		}
	}
	return true
}

// well reports whether nothing is wrong with a node by itself.
func (w *windows) well(node string) bool {
	return !w.tainted[node] && w.asked.Processes[node] == faults.Running && w.asked.Clocks[node].Healthy() && w.asked.Disks[node].Healthy()
}

// silentTo reports whether nothing of a server reaches the others, nor anything of them it.
func (w *windows) silentTo(server string, others []string) bool {
	if state := w.asked.Processes[server]; state.Ended() || state == faults.Paused {
		return true
	}
	return !slices.ContainsFunc(others, func(other string) bool {
		return !w.cut(server, other) || !w.cut(other, server)
	})
}

// cut reports whether nothing that one node sends comes to another.
func (w *windows) cut(from, to string) bool {
	l := w.asked.Links[faults.Pair{From: from, To: to}]
	return l.Drop || l.Reject
}

package checker

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// ageSlack is how much later than it came in a message of a leader may be taken in by a server that is well: what was on
// its way when a link was cut.
const ageSlack = int64(time.Second)

// ages is what the ages that stale reads declared come to.
type ages struct {
	reads, judged int
	excess        int64 // ns: the most by which an answer was older than declared, at least; what a follower lags
	found         []Counterexample
}

func (a ages) metrics() []Metric {
	return []Metric{{"stale reads", float64(a.reads), ""}, {"of these whose age was judged", float64(a.judged), ""},
		{"most that a stale read was older than declared, at least", float64(a.excess) / 1e6, "ms"}}
}

// checkAges holds the age that an answer to a stale read declares against how old it was. The age is how long ago its
// server heard from its leader (X-Consul-LastContact; 0 of a leader). That is no bound on how old the data is: in
// Raft a contact need not bring the commit index (heartbeats of hashicorp/raft carry none), and a server that has it need
// not have applied it yet; the leader that is heard may be a deposed one that does not know it yet. So "older than
// declared" alone proves nothing, and is a figure. Two things do:
//
//   - A server to which nothing comes from any other of its peer set, as the nemesis measured, and that said since that it
//     does not lead, has had no contact since then, nor will it, but for what was on its way (ageSlack). An answer that
//     was asked for later and declares a younger contact is a lie:
//
//     cut off, measured    says "Follower"                asked; declares 0.1 s
//     |--------------------|- slack -|                    |
//
//   - While every server of the peer set is well, and every link between them, each has within Settings.RecoverWithin whatever
//     was acknowledged before, as the scenario demands of it in all else. An answer that lacks it later, and declares no
//     age that would explain that, is one.
func checkAges(run *Run) (a ages, err error) {
	if !run.Settings.can(history.DeclaresAge) {
		return a, nil
	}
	names, parts := run.parts()
	for i, part := range parts {
		if err := a.judge(names[i], part); err != nil {
			return a, err
		}
	}
	return a, nil
}

// staleRead is one whose server is known.
type staleRead struct {
	op     *history.Operation
	server string
	age    int64 // ns, at most; what is declared is in milliseconds, cut off
}

// judge looks at the stale reads of one datacenter.
func (a *ages) judge(dc string, run *Run) error {
	reads := staleReads(run)
	a.reads += len(reads)
	silences, err := cutOffServers(run)
	if err != nil {
		return err
	}
	healthy, err := majorityWindows(run)
	if err != nil {
		return err
	}
	bound := int64(run.Settings.RecoverWithin)
	if len(excuse(run)) > 0 {
		bound = 0
	}
	newer := versionsByReturn(run)
	for _, r := range reads {
		judged := false
		for _, s := range silences[r.server] {
			if r.op.Invoke < s.from || r.op.Return > s.to {
				continue
			}
			judged = true
			if contact := r.op.Invoke - r.age; contact > s.from+ageSlack {
				a.found = append(a.found, evidence(dc, fmt.Sprintf("%s answered a stale %s, asked of %s at %s, and declared %d ms since it heard from its leader; nothing had come to it from any server of its datacenter since %s",
					r.server, r.op.F, r.op.Node, clock(r.op.Invoke), r.op.AgeMS, clock(s.from)), r.op))
			}
		}
		if v := newer[r.op.Key].first(r.op.ModifyIndex); v != nil {
			a.excess = max(a.excess, r.op.Invoke-v.Return-r.age)
			if i := slices.IndexFunc(healthy, func(w majorityWindow) bool {
				return w.from <= r.op.Invoke && r.op.Return <= w.to && len(w.servers) == len(run.Topology.Servers())
			}); i >= 0 && bound > 0 {
				judged = true
				if due := max(v.Return, healthy[i].from) + bound; r.op.Invoke-r.age > due {
					a.found = append(a.found, evidence(dc, fmt.Sprintf("%s answered a stale %s of key %s, asked of %s at %s, as of index %d, and declared an age of %d ms; index %d had been answered by %s, and all its servers were well since %s: allowed are %s",
						r.server, r.op.F, r.op.Key, r.op.Node, clock(r.op.Invoke), r.op.ModifyIndex, r.op.AgeMS, v.ModifyIndex, clock(v.Return), clock(healthy[i].from), ms(bound)), v, r.op))
				}
			}
		}
		if judged {
			a.judged++
		}
	}
	return nil
}

// oldestMS bounds ages, of which that of a server that never heard from a leader is enormous.
const oldestMS = int64(1e12)

// staleReads are those of single keys that were answered by a server of which its way tells, or that must be the one that was asked.
func staleReads(run *Run) (all []staleRead) {
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.F != history.OpRead || op.Mode != history.ModeStale || op.Type != history.OK {
			continue
		}
		server := op.Node
		if n := len(op.Hops); n > 0 {
			server = op.Hops[n-1].Node
		}
		if n, known := run.Topology.Node(server); known && n.Role != topologies.Client {
			all = append(all, staleRead{op, server, (min(op.AgeMS, oldestMS) + 1) * 1e6})
		}
	}
	return all
}

// cutOffServers are the times, by server, in which it certainly can have heard from no other of its peer set, and does not lead.
func cutOffServers(run *Run) (map[string][]band, error) {
	cut := map[string][]band{}
	servers := append(run.Topology.Servers(), run.Topology.Spares()...)
	follows, err := notLeading(run)
	if err != nil {
		return nil, err
	}
	err = eachCertain(run, func(from, to int64, w *windows) {
		for _, n := range servers {
			if !w.well(n.Name) || slices.ContainsFunc(servers, func(o topologies.Node) bool { return o.Name != n.Name && w.heard(o.Name, n.Name) }) {
				continue
			}
			// What it says may have been so observationLag before. Alone, it can lead no more once it does not.
			at, _ := slices.BinarySearch(follows[n.Name], from+observationLag)
			if at < len(follows[n.Name]) {
				cut[n.Name] = append(cut[n.Name], band{follows[n.Name][at], to})
			}
		}
	})
	return cut, err
}

// heard reports whether what a server sends may come to another.
func (w *windows) heard(server, by string) bool {
	state := w.asked.Processes[server]
	return !state.Ended() && state != faults.Paused && !w.cut(server, by)
}

// notLeading is when each server said that it does not lead, in order.
func notLeading(run *Run) (map[string][]int64, error) {
	all, err := observations(run)
	said := map[string][]int64{}
	for _, o := range all {
		if o.Error == "" && o.State != "" && o.State != history.Leader {
			said[o.node] = append(said[o.node], o.at)
		}
	}
	return said, err
}

// keyVersions are answers with the indexes of one key, by return, each with the highest index so far.
type keyVersions []*history.Operation

// first is the first answer with a higher index; nil if there is none, or the index is not known.
func (v keyVersions) first(than uint64) *history.Operation {
	i := sort.Search(len(v), func(i int) bool { return v[i].ModifyIndex > than })
	if than == 0 || i == len(v) {
		return nil
	}
	return v[i]
}

// versionsByReturn collects the answers that promise to be new.
func versionsByReturn(run *Run) map[string]keyVersions {
	byKey := map[string]keyVersions{}
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Type == history.OK && op.ModifyIndex > 0 && op.F != history.OpDeleteTree && !(op.F.Reads() && op.Mode == history.ModeStale) {
			byKey[op.Key] = append(byKey[op.Key], op)
		}
	}
	for key, all := range byKey {
		slices.SortStableFunc(all, func(a, b *history.Operation) int { return cmp.Compare(a.Return, b.Return) })
		highest := uint64(0)
		byKey[key] = slices.DeleteFunc(all, func(op *history.Operation) bool {
			if op.ModifyIndex <= highest {
				return true
			}
			highest = op.ModifyIndex
			return false
		})
	}
	return byKey
}

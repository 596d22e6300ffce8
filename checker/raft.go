package checker

import (
	"cmp"
	"context"
	"fmt"
)

const maxReasons = 20

// checkRaft judges what nodes reported about their Raft. A node reads its state, term and
// indexes one after the other while they change, so one Observation may be torn: "Leader,
// term 3" from a leader of term 2 that just stepped down. The observer asks a node again
// only after its answer, and terms never fall, so two answers say what one cannot:
//
//   - A node that said "Leader, term 3" twice did lead term 3. Whichever of the two it
//     reads first, between the two readings of the term it was 3 all along, and one
//     reading of the state lies between them.
//   - What one answer says of the applied index was so before the next answer of the
//     node, so it is compared with the commit index of that.
//   - Whatever a node had committed or applied was so in a term no later than the one
//     of its next answer.
//
// A server whose disk was emptied is another one under the same name: it knows no term
// and has no log, and both may be lower than before. It is recognized by a new boot ID after
// a fault that empties disks.
//
// An applied index above the commit index is only wrong in a leader that applied
// something while it led: a snapshot moves the applied index of a follower, and only the
// next message of a leader its commit index (hashicorp/raft, installSnapshot).
func checkRaft(_ context.Context, run *Run) Result {
	byNode, order, skipped, unsure, err := observationsByServer(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	total := 0
	for _, name := range order {
		total += len(byNode[name])
	}
	if total == 0 {
		return Result{Verdict: Unknown, Summary: "no server reported its Raft state",
			Metrics: []Metric{{Name: "observations without an answer", Value: float64(skipped)}}}
	}
	var reasons []string
	var leaderships []leadership
	var safe []durable
	for _, name := range order {
		seen := byNode[name]
		reasons = append(reasons, decreased(seen)...)
		own := leadershipsOf(seen)
		for _, g := range own {
			reasons = append(reasons, appliedAhead(seen[g.from:g.to+1])...)
		}
		leaderships = append(leaderships, own...)
		safe = append(safe, durables(seen)...)
	}
	terms, rivals := oneLeaderATerm(leaderships)
	reasons = append(rivals, reasons...)
	reasons = append(reasons, incomplete(leaderships, safe)...)
	r := Result{Verdict: Valid, Metrics: []Metric{
		{Name: "observations", Value: float64(total)},
		{Name: "observations without an answer", Value: float64(skipped)},
		{Name: "observations of an unknown life", Value: float64(unsure)},
		{Name: "terms with a confirmed leader", Value: float64(terms)},
	}}
	r.Summary = fmt.Sprintf("%d observations of %s agree with Raft (%s with a leader)", total, plural(len(order), "server"), plural(terms, "term"))
	if unsure > 0 {
		r.Summary += fmt.Sprintf("; %s of nodes that report no boot ID came so near a restart, or before the node knew of a term, that nothing was concluded from them", plural(unsure, "observation"))
	}
	if len(reasons) > 0 {
		r.Verdict, r.Summary = Invalid, reasons[0]
		r.Reasons = capped(reasons)
	}
	return r
}

// observationsByServer collects the usable observations by server, in their order. The key of a
// server whose disk was emptied since is another. A server that reports no boot ID gets its
// lives in place of boot IDs, as far as these are known; while it starts it reports no term
// either, which is not term 0.
func observationsByServer(run *Run) (byNode map[string][]observation, order []string, skipped, unsure int, err error) {
	byNode = map[string][]observation{}
	keys := map[string]string{} // of the server that is now at work under a name
	life, err := livesOf(run)
	if err != nil {
		return nil, nil, 0, 0, err
	}
	said, err := observations(run)
	if err != nil {
		return nil, nil, 0, 0, err
	}
	for _, s := range said {
		if s.Error != "" {
			skipped++
			continue
		}
		if s.State == "" {
			continue // a client agent
		}
		if s.BootID == "" {
			var sure bool
			if s.BootID, sure = life.at(s.node, s.at); !sure || s.Term == 0 {
				unsure++
				continue
			}
		}
		key := cmp.Or(keys[s.node], s.node)
		if seen := byNode[key]; len(seen) > 0 {
			last := seen[len(seen)-1]
			if last.BootID != s.BootID && wiped(run.Faults, s.node, last.at, s.at) {
				key = fmt.Sprintf("%s from %s on", s.node, clock(s.at))
				keys[s.node] = key
			}
		}
		if byNode[key] == nil {
			order = append(order, key)
		}
		byNode[key] = append(byNode[key], s)
	}
	return byNode, order, skipped, unsure, nil
}

// decreased finds what decreased: terms at any time, since they are durable; the commit and applied
// indexes within one life of the process.
func decreased(seen []observation) (reasons []string) {
	for i := 1; i < len(seen); i++ {
		was, is := &seen[i-1], &seen[i]
		fell := func(what string, before, now uint64) {
			if now < before {
				reasons = append(reasons, fmt.Sprintf("the %s of %s fell from %d to %d between %s and %s",
					what, is.node, before, now, clock(was.at), clock(is.at)))
			}
		}
		fell("term", was.Term, is.Term)
		if was.BootID == is.BootID {
			fell("commit index", was.Commit, is.Commit)
			fell("applied index", was.Applied, is.Applied)
		}
	}
	return reasons
}

// leadership is the part of a node's observations in which it provably led a term.
type leadership struct {
	node     string
	term     uint64
	from, to int // positions in the node's observations, at least one apart
	seen     []observation
}

func leadershipsOf(seen []observation) (leaderships []leadership) {
	for from := 0; from < len(seen); from++ {
		first := &seen[from]
		if first.State != leader {
			continue
		}
		to := from
		for next := from + 1; next < len(seen); next++ {
			s := &seen[next]
			if s.BootID != first.BootID || s.Term != first.Term {
				break
			}
			if s.State == leader {
				to = next
			}
		}
		if to > from {
			leaderships = append(leaderships, leadership{node: first.node, term: first.Term, from: from, to: to, seen: seen})
		}
		from = to
	}
	return leaderships
}

const leader = "Leader"

// oneLeaderATerm is Raft's election safety ("In Search of an Understandable Consensus
// Algorithm", 2014, figure 3).
func oneLeaderATerm(leaderships []leadership) (terms int, reasons []string) {
	of := map[uint64]leadership{}
	for _, g := range leaderships {
		other, ok := of[g.term]
		if !ok {
			of[g.term] = g
			continue
		}
		if other.node != g.node {
			reasons = append(reasons, fmt.Sprintf("two leaders of term %d: %s, seen from %s to %s, and %s, seen from %s to %s",
				g.term, other.node, clock(other.seen[other.from].at), clock(other.seen[other.to].at),
				g.node, clock(g.seen[g.from].at), clock(g.seen[g.to].at)))
		}
	}
	return len(of), reasons
}

// appliedAhead finds where a leader had applied what it had not committed. The first
// observation of a leadership may be torn, and its applied index from before.
func appliedAhead(seen []observation) (reasons []string) {
	for i := 2; i+1 < len(seen); i++ {
		grew := seen[i].Applied > seen[i-1].Applied
		if grew && seen[i].Applied > seen[i+1].Commit {
			reasons = append(reasons, fmt.Sprintf("%s, leader of term %d, had applied %d at %s, and later, at %s, committed only %d",
				seen[i].node, seen[i].Term, seen[i].Applied, clock(seen[i].at), clock(seen[i+1].at), seen[i+1].Commit))
		}
	}
	return reasons
}

// durable is an index up to which the log was committed in a term no later than term.
type durable struct {
	node  string
	at    int64
	index uint64
	term  uint64
}

// durables keeps the highest index of every term.
func durables(seen []observation) (all []durable) {
	for i := 0; i+1 < len(seen); i++ {
		d := durable{seen[i].node, seen[i].at, max(seen[i].Commit, seen[i].Applied), seen[i+1].Term}
		if n := len(all); n > 0 && all[n-1].term == d.term {
			if d.index > all[n-1].index {
				all[n-1] = d
			}
			continue
		}
		all = append(all, d)
	}
	return all
}

// incomplete is Raft's leader completeness (figure 3 of the same): a leader's log holds
// everything that was committed in earlier terms. Its last index is believed only
// between two other observations of its leadership, because at the edges it may be torn.
func incomplete(leaderships []leadership, safe []durable) (reasons []string) {
	for _, g := range leaderships {
		for i := g.from + 1; i < g.to; i++ {
			worst := lacking(g, g.seen[i].Last, safe)
			if worst == nil {
				continue
			}
			reasons = append(reasons, fmt.Sprintf("%s led term %d at %s with a log that ended at %d, but by %s %s had committed %d, in term %d at the latest",
				g.node, g.term, clock(g.seen[i].at), g.seen[i].Last, clock(worst.at), worst.node, worst.index, worst.term))
			break
		}
	}
	return reasons
}

func lacking(g leadership, last uint64, safe []durable) (worst *durable) {
	for i := range safe {
		d := &safe[i]
		if d.term < g.term && d.index > last && (worst == nil || d.index > worst.index) {
			worst = d
		}
	}
	return worst
}

// clock is a time of the run, for people.
func clock(ns int64) string { return fmt.Sprintf("%.3f s", float64(ns)/1e9) }

func capped(reasons []string) []string {
	if more := len(reasons) - maxReasons; more > 0 {
		return append(reasons[:maxReasons:maxReasons], fmt.Sprintf("and %d more", more))
	}
	return reasons
}

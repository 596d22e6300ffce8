package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"faultline/topologies"
	"faultline/workloads/history"
)

// checkHops judges the ways that answers took: which nodes an operation came through, and as what, where
// answers tell that. As Consul routes requests (developer.hashicorp.com/consul/docs/architecture), a client
// agent forwards to a server, a follower to the leader, and the leader answers. A request for another datacenter
// goes from the first server right to any server there, and from that to its leader:
//
//	client agent > server > remote server > remote leader
func checkHops(_ context.Context, run *Run) Result {
	follows, err := followings(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	r := Result{Verdict: Valid}
	told, longest := 0, 0
	wrong := 0
	for i := range run.Ops {
		op := &run.Ops[i]
		if len(op.Hops) == 0 {
			continue
		}
		told, longest = told+1, max(longest, len(op.Hops))
		why := wrongHops(run.Topology, op)
		if why == "" {
			why = wrongDatacenters(run.Topology, op)
		}
		if why == "" {
			why = follows.astray(op)
		}
		if why == "" {
			continue
		}
		wrong++
		r.Reasons = append(r.Reasons, fmt.Sprintf("a %s of %s, asked at %s, came through %s: %s", op.F, op.Node, clock(op.Invoke), way(op.Hops), why))
		if len(r.Counterexamples) < maxWays {
			r.Counterexamples = append(r.Counterexamples, Counterexample{Key: op.Key, Why: r.Reasons[len(r.Reasons)-1], Ops: []history.Operation{*op}, Of: 1})
		}
	}
	r.Metrics = []Metric{{"answers with hops", float64(told), ""}, {"most hops of an answer", float64(longest), ""}, {"answers that went astray", float64(wrong), ""}}
	r.Summary = fmt.Sprintf("%s told their hops, and all came the right way, over %s at most", plural(told, "answer"), plural(longest, "node"))
	if wrong > 0 {
		r.Verdict, r.Summary, r.Reasons = Invalid, r.Reasons[0], capped(r.Reasons)
	}
	return r
}

// maxWays is how many of the answers that went astray are shown.
const maxWays = 10

// tellsHops is what a run lacks whose answers tell no hops.
func tellsHops(run *Run) string {
	if slices.ContainsFunc(run.Ops, func(op history.Operation) bool { return len(op.Hops) > 0 }) {
		return ""
	}
	return "no answer told the nodes that it came through"
}

// way is "dc1-c1 (client) > dc1-s2 (leader)".
func way(hops []history.Hop) string {
	var names []string
	for _, h := range hops {
		names = append(names, fmt.Sprintf("%s (%s)", h.Node, h.Role))
	}
	return strings.Join(names, " > ")
}

// wrongHops is what is wrong with the hops of an answer by themselves.
func wrongHops(t topologies.Topology, op *history.Operation) string {
	meant := meantBy(t, op)
	if first := op.Hops[0].Node; first != op.Node {
		return "its first node is not the one that was asked"
	}
	seen := map[string]bool{}
	last := len(op.Hops) - 1
	for i, h := range op.Hops {
		n, known := t.Node(h.Node)
		switch {
		case !known:
			return fmt.Sprintf("there is no node %s", h.Node)
		case seen[h.Node]:
			return h.Node + " is there twice"
		case h.Role != history.RoleClient && h.Role != history.RoleFollower && h.Role != history.RoleLeader:
			return fmt.Sprintf("nobody is a %q", h.Role)
		case (h.Role == history.RoleClient) != (n.Role == topologies.Client):
			return fmt.Sprintf("%s is a %s", h.Node, n.Role)
		case h.Role == history.RoleClient && i > 0:
			return "nobody forwards to a client agent"
		case h.Role == history.RoleLeader && i < last && n.DC == meant:
			return "a leader does not forward"
		}
		seen[h.Node] = true
	}
	mayBeStale := op.F.Reads() && op.Mode == history.ModeStale
	switch end := op.Hops[last].Role; {
	case op.Type != history.OK || end == history.RoleLeader:
	case end == history.RoleClient:
		return "a client agent answered by itself"
	case !mayBeStale:
		return "no leader answered"
	}
	return ""
}

// meantBy is the datacenter whose data an operation means; empty of a node that the topology does not have.
func meantBy(t topologies.Topology, op *history.Operation) string {
	if op.DC != "" {
		return op.DC
	}
	n, _ := t.Node(op.Node)
	return n.DC
}

// mostRemote is how many servers of another datacenter a request comes through: whoever is asked first, and its leader.
const mostRemote = 2

// wrongDatacenters is what is wrong with the datacenters that an answer came through, whose nodes are known.
func wrongDatacenters(t topologies.Topology, op *history.Operation) string {
	meant := meantBy(t, op)
	asked, _ := t.Node(op.Node)
	there, servers := false, map[string]int{}
	for _, h := range op.Hops {
		n, _ := t.Node(h.Node)
		if n.Role != topologies.Client {
			servers[n.DC]++
		}
		switch {
		case n.DC != meant && n.DC != asked.DC:
			return fmt.Sprintf("%s is in %s, and %s was meant", h.Node, n.DC, meant)
		case n.DC != meant && there:
			return fmt.Sprintf("it had come to %s, which was meant, and went back to %s", meant, h.Node)
		}
		there = there || n.DC == meant
	}
	switch {
	case op.Type == history.OK && !there:
		return fmt.Sprintf("nobody of %s answered, which was meant", meant)
	case meant != asked.DC && servers[asked.DC] > 1:
		return fmt.Sprintf("%d servers of %s passed it on", servers[asked.DC], asked.DC)
	case meant != asked.DC && servers[meant] > mostRemote:
		return fmt.Sprintf("it came through %d servers of %s", servers[meant], meant)
	}
	return ""
}

// followed is what a server said: whom it follows, and in which term.
type followed struct {
	at     int64
	leader string
	term   uint64
}

func saidBy(s followed, t int64) int { return cmp.Compare(s.at, t) }

// following is what each server said, in order, and where it is.
type following struct {
	said map[string][]followed
	dcs  map[string]string
}

func followings(run *Run) (following, error) {
	f := following{map[string][]followed{}, run.Topology.DatacenterOf()}
	said, err := observations(run)
	for _, o := range said {
		if o.Error == "" {
			f.said[o.node] = append(f.said[o.node], followed{o.at, o.Leader, o.Term})
		}
	}
	return f, err
}

// astray finds a server that forwarded to another than the leader that it knew. It said so before the
// operation and after it, in one term, which has one leader:
//
//	s2 says   s1 leads term 4                          s1 leads term 4
//	client                     |- s2 > s3 > s1: astray -|
func (f following) astray(op *history.Operation) string {
	for i := 0; i+1 < len(op.Hops); i++ {
		h, next := op.Hops[i], op.Hops[i+1].Node
		if h.Role != history.RoleFollower || op.Return == history.Pending || f.dcs[h.Node] != f.dcs[next] {
			continue
		}
		said := f.said[h.Node]
		// An answer was true before its line was written, and no longer than observationLag before.
		before, _ := slices.BinarySearchFunc(said, op.Invoke, saidBy)
		after, _ := slices.BinarySearchFunc(said, op.Return+observationLag, saidBy)
		if before == 0 || after == len(said) {
			continue
		}
		was, is := said[before-1], said[after]
		if was.leader != "" && was.term > 0 && was.leader == is.leader && was.term == is.term && next != was.leader {
			return fmt.Sprintf("%s forwarded to %s, though it knew %s for its leader, at %s and at %s in term %d",
				h.Node, next, was.leader, clock(was.at), clock(is.at), was.term)
		}
	}
	return ""
}

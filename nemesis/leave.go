package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// leaveWithin bounds one server's leave: it hands leadership over, is removed from the
// peer set, tells the gossip pool and ends.
const leaveWithin = 30 * time.Second

// Leave makes servers leave in good order.
type Leave struct {
	onProcesses
	BelowMajority
}

func (Leave) Kind() Kind {
	return Kind{
		Name:          "leave",
		Family:        "leave",
		Doc:           "Makes servers leave the cluster gracefully, one after the other, and out of the peer set; at the heal they are started again and vote again.",
		Targets:       andRoles(One),
		Drawn:         []string{One},
		Needs:         []faults.Capability{faults.ProcessKill},
		Exits:         true,
		Asks:          []history.Ability{history.LeavesCluster},
		RemovesVoters: true,
		NeedsLeader:   true,
		Asked:         func(targets []string) string { return strings.Join(targets, ", ") + " left" },
	}
}

func (Leave) Validate(t topologies.Topology, s Step) error { return serversOnly(t, s) }

// Apply has the servers be down: a process that ended by itself and one that was killed are
// the same state to a runtime, which must not start it before the heal.
func (l Leave) Apply(c *faults.Conditions, t topologies.Topology, s Step) {
	c.SetProcess(l.Nodes(t, s), faults.Killed)
}

func (l Leave) Acts() Acts {
	return Acts{Before: leaveOneByOne, After: l.leftPeers, Rejoined: l.voteAgain}
}

// leftPeers waits until the peer set lacks who has left. A cluster that has lost its majority cannot
// take anybody out.
func (l Leave) leftPeers(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	if _, err := membersOf(w, targets[0]); err != nil {
		return Seen{Note: cannotAsk}, nil
	}
	if l.BelowMajority.BelowMajority {
		return Seen{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	return awaitGone(ctx, w, targets)
}

// voteAgain waits until who has left votes again. A spare does so as long as a join lasts, whose own
// affair that is.
func (l Leave) voteAgain(ctx context.Context, w World, s Step, targets []string) (Seen, error) {
	if _, err := membersOf(w, targets[0]); err != nil {
		return Seen{Note: cannotAsk}, nil
	}
	return l.awaitVotes(ctx, w, s, slices.DeleteFunc(slices.Clone(targets), func(name string) bool {
		n, ok := w.Topology.Node(name)
		return ok && n.Role == topologies.Spare
	}))
}

// leaveOneByOne takes the end of the process for the answer: that to the request can
// be lost when the node ends.
func leaveOneByOne(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	ended := faults.Finding{About: "ended by itself", Want: faults.Has, Names: targets}
	for _, node := range targets {
		if err := leaveOne(ctx, w, node); err != nil {
			return found(ended), err
		}
		ended.Got = append(ended.Got, node)
	}
	ended.Words = strings.Join(targets, ", ") + " ended by itself"
	return found(ended), nil
}

func leaveOne(ctx context.Context, w World, node string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	leaver, ok := nodes.AsLeaver(w.Conn(node))
	if !ok {
		return errors.New("clients of this system cannot make a node leave")
	}
	asked := leaver.Leave(ctx)
	if asked != nil && nodes.CodeOf(asked).Definite() {
		return fmt.Errorf("%s did not leave: %w", node, asked)
	}
	if err := w.Cluster.Exited(ctx, node); err != nil {
		if asked != nil {
			return fmt.Errorf("%s did not leave: %w; and did not end: %w", node, asked, err)
		}
		return fmt.Errorf("%s left but did not end: %w", node, err)
	}
	return nil
}

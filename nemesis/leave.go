package nemesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// leaveWithin bounds one server's leave: it hands leadership over, is removed from the
// peer set, tells the gossip pool and ends.
const leaveWithin = 30 * time.Second

var leave = Fault{
	Name:    "leave",
	Family:  "leave",
	Doc:     "Makes servers leave the cluster gracefully, one after the other, and out of the peer set; at the heal they are started again and vote again.",
	Targets: []string{One, Primary},
	Drawn:   []string{One},
	Needs:   []faults.Capability{faults.ProcessKill},
	Options: []string{"below-majority"},
	Exits:   true,
	Takes:   true,
	Suits:   serversOnly,
	Nodes:   processNodes,
	// A process that ended by itself and one that was killed are the same state to a
	// runtime: it is not running, and must not be started before the heal.
	Edit:     inState(faults.Killed),
	Asked:    func(hit []string) string { return strings.Join(hit, ", ") + " left" },
	Before:   leaveOneByOne,
	After:    leftPeers,
	Rejoined: leaversVote,
}

// leftPeers waits until the peer set lacks who has left. A cluster that has lost its majority cannot
// take anybody out.
func leftPeers(ctx context.Context, w World, s Step, hit []string) (string, error) {
	if _, err := operator(w, hit[0]); err != nil {
		return cannotAsk, nil
	}
	if s.BelowMajority {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	return awaitGone(ctx, w, hit)
}

// leaversVote waits until who has left votes again. A spare does so as long as a join lasts, whose own
// affair that is.
func leaversVote(ctx context.Context, w World, s Step, hit []string) (string, error) {
	if _, err := operator(w, hit[0]); err != nil {
		return cannotAsk, nil
	}
	return votersAgain(ctx, w, s, slices.DeleteFunc(slices.Clone(hit), func(name string) bool {
		n, ok := w.Topology.Node(name)
		return ok && n.Role == topologies.Spare
	}))
}

// leaveOneByOne takes the end of the process for the answer: that to the request can
// be lost when the node ends.
func leaveOneByOne(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	for _, node := range hit {
		if err := leaveOne(ctx, w, node); err != nil {
			return "", err
		}
	}
	return strings.Join(hit, ", ") + " ended by itself", nil
}

func leaveOne(ctx context.Context, w World, node string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	asked := w.Client(node).Leave(ctx)
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

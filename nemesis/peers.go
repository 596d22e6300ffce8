package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"faultline/nodes"
)

// askWithin bounds a question that needs no change of anything.
const askWithin = 2 * time.Second

// workWithin bounds what is looked for while the schedule goes on: a newcomer is only taken
// in when nothing is broken any more that keeps the cluster from it.
const workWithin = time.Minute

// membersOf is a node's client, as one of those that can look at the peer set.
func membersOf(w World, node string) (nodes.Members, error) {
	members, ok := nodes.AsMembers(w.Conn(node))
	if !ok {
		return nil, errors.New("clients of this system cannot look at the peer set")
	}
	return members, nil
}

// peersOf is the peer set as the leader knows it.
func peersOf(ctx context.Context, w World) ([]nodes.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	leader, err := w.leader(ctx)
	if err != nil {
		return nil, err
	}
	op, err := membersOf(w, leader)
	if err != nil {
		return nil, err
	}
	return op.Peers(ctx)
}

// awaitPeer waits until a node is running and, if it shall vote, a voter by its own
// identity in the leader's peer set. It returns the identity.
func awaitPeer(ctx context.Context, w World, node string, vote bool) (id string, err error) {
	w = w.at(node)
	op, err := membersOf(w, node)
	if err != nil {
		return "", err
	}
	err = until(ctx, func() error {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		if id, err = op.Identity(asking); err != nil {
			return fmt.Errorf("%s does not answer: %w", node, err)
		}
		if !vote {
			return nil
		}
		peers, err := peersOf(ctx, w)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(peers, func(p nodes.Peer) bool { return p.ID == id && p.Voter }) {
			return fmt.Errorf("%s does not vote", node)
		}
		return nil
	})
	return id, err
}

// until tries again until f succeeds or ctx ends.
func until(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		if cut := sleep(ctx, pollEvery); cut != nil {
			return fmt.Errorf("%w; the last look: %w", cut, err)
		}
	}
}

// short is enough of an identity to recognize it.
func short(id string) string { return id[:min(len(id), 8)] }

package nemesis

import (
	"context"
	"fmt"
	"strings"

	"faultline/nodes/faults"
)

// replace is proved by the machine that is gone with all its data, which the runtime
// measures, and by the newcomer that votes. Whether it votes under an identity of its own
// is the system's affair: the marks tell it, and what comes of it is for checkers.
var replace = Fault{
	Name:   "replace",
	Family: "replace",
	Doc: "Servers break for good: they are killed and their disks are gone; at the heal new machines start at the same " +
		"addresses, with nothing, and join.",
	Targets:  []string{One, Primary},
	Drawn:    []string{One},
	Options:  []string{"below-majority"},
	Needs:    []faults.Capability{faults.ProcessAbsent},
	Takes:    true,
	Suits:    serversOnly,
	Nodes:    processNodes,
	Edit:     inState(faults.Wiped),
	Before:   tellIdentities,
	Rejoined: votersAgain,
}

// tellIdentities says who the servers are before they are gone. That one does not tell is
// no reason to spare it.
func tellIdentities(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var words []string
	for _, node := range hit {
		op, err := operator(w, node)
		if err != nil {
			return "", err
		}
		if id, err := op.Identity(ctx); err == nil {
			words = append(words, fmt.Sprintf("%s was %s", node, short(id)))
		}
	}
	return strings.Join(words, ", "), nil
}

// votersAgain waits until whoever is at work in the nodes' places now votes. A cluster that
// has lost its majority cannot give anybody a vote, so there it waits for answers alone.
func votersAgain(ctx context.Context, w World, s Step, hit []string) (string, error) {
	var words []string
	for _, node := range hit {
		id, err := awaitPeer(ctx, w, node, !s.BelowMajority)
		if err != nil {
			return strings.Join(words, ", "), err
		}
		verb := "votes"
		if s.BelowMajority {
			verb = "answers"
		}
		words = append(words, fmt.Sprintf("%s %s as %s", node, verb, short(id)))
	}
	return strings.Join(words, ", "), nil
}

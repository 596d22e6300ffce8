package history

import (
	"fmt"
	"slices"
)

// PeerSet is the peer set as one node told it when the observer asked.
type PeerSet struct {
	Peers []Peer `json:"peers,omitempty"`
	Error string `json:"error,omitempty"` // why the node told none
}

// Peer is one member of a peer set.
type Peer struct {
	ID    string `json:"id"`
	Node  string `json:"node,omitempty"` // its name; empty if nobody of that ID is known any more
	Voter bool   `json:"voter"`
}

// Gaps lists, a clause each, how the peers are not these servers, each once, with a vote, and nobody else.
func (s PeerSet) Gaps(servers []string) (gaps []string) {
	times := map[string]int{}
	for _, p := range s.Peers {
		times[p.Node]++
		switch {
		case p.Node == "":
			gaps = append(gaps, fmt.Sprintf("%s, whom nobody knows any more, is still a peer", p.ID))
		case !slices.Contains(servers, p.Node):
			gaps = append(gaps, p.Node+" is a peer, and should not be")
		case times[p.Node] == 2:
			gaps = append(gaps, p.Node+" is a peer twice")
		case !p.Voter:
			gaps = append(gaps, p.Node+" has no vote")
		}
	}
	for _, name := range servers {
		if times[name] == 0 {
			gaps = append(gaps, name+" is no peer")
		}
	}
	slices.Sort(gaps)
	return gaps
}

package nemesis

import (
	"slices"

	"faultline/topologies"
)

// order is a topology's servers and client agents in the order that a draw gives them.
// Words take servers from its front: one is the first, minority the first few.
//
// The draw is read as a number in the factorial base (a Lehmer code): its first digit,
// draw mod n, picks the first server, the next digit picks among the rest, and so on;
// then one bit and the client agents' own digits. So draw 0 is the topology's order, and
// with three servers draw 2 puts the third first. The same draw means the same nodes
// forever: no random number generator is involved.
type order struct {
	servers []string
	clients []string
	spares  []string // as in the topology
	flip    bool     // client agents are dealt to the front first
}

func drawn(t topologies.Topology, draw uint64) order {
	var o order
	for _, n := range t.Nodes() {
		switch n.Role {
		case topologies.Server:
			o.servers = append(o.servers, n.Name)
		case topologies.Client:
			o.clients = append(o.clients, n.Name)
		case topologies.Spare:
			o.spares = append(o.spares, n.Name)
		}
	}
	draw = permute(o.servers, draw)
	o.flip, draw = draw%2 == 1, draw/2
	permute(o.clients, draw)
	return o
}

// permute moves the names into the order that the digits of draw give, and returns what
// is left of it.
func permute(names []string, draw uint64) uint64 {
	for i := range names {
		left := uint64(len(names) - i)
		pick := i + int(draw%left)
		draw /= left
		name := names[pick]
		copy(names[i+1:pick+1], names[i:pick])
		names[i] = name
	}
	return draw
}

// places gives every node a place in the order: a server its own, a client agent that of
// a server, whose side of a partition it is then on. Client agents are dealt from both
// ends in turn, so that with two of them each side of a split has one. Spares stand with
// the last server.
func (o order) places() map[string]int {
	at := map[string]int{}
	for _, s := range o.spares {
		at[s] = len(o.servers) - 1
	}
	for i, s := range o.servers {
		at[s] = i
	}
	n := len(o.servers)
	for i, c := range o.clients {
		fromEnd := i / 2 % n
		if front := i%2 == 1; front != o.flip {
			at[c] = fromEnd
		} else {
			at[c] = n - 1 - fromEnd
		}
	}
	return at
}

// leadBy puts one server first and leaves the others as they are.
func (o order) leadBy(leader string) order {
	others := slices.DeleteFunc(slices.Clone(o.servers), func(s string) bool { return s == leader })
	o.servers = append([]string{leader}, others...)
	return o
}

// How many of n servers a word means.
func minorityOf(n int) int    { return max(1, n/3) }
func smallerHalfOf(n int) int { return n / 2 }
func majorityOf(n int) int    { return n/2 + 1 }

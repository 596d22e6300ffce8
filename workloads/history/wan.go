package history

import (
	"fmt"
	"slices"
)

// WANView is the pool of servers of all datacenters, as one server told it when the observer asked.
type WANView struct {
	Members []WANMember `json:"members,omitempty"`
	Error   string      `json:"error,omitempty"` // why the server told none
}

// WANMember is one member of that pool.
type WANMember struct {
	Name   string       `json:"name"` // of the node, without its datacenter
	DC     string       `json:"dc"`
	Server bool         `json:"server"`
	Status MemberStatus `json:"status"`
}

// MemberStatus is what an agent takes a member of its pool for.
type MemberStatus string

const (
	MemberAlive   MemberStatus = "alive"
	MemberFailed  MemberStatus = "failed"
	MemberLeaving MemberStatus = "leaving"
	MemberLeft    MemberStatus = "left"
)

// Gaps lists, a clause each, how the members that are alive or taken to be are not these servers, by
// datacenter and name, each once, and nobody else. Who has left, or failed, may still be remembered if nobody
// asks for it.
func (v WANView) Gaps(servers map[string][]string) (gaps []string) {
	alive := map[WANMember]int{}
	for _, m := range v.Members {
		who := m.Name + " of " + m.DC
		switch wanted := slices.Contains(servers[m.DC], m.Name); {
		case !m.Server:
			gaps = append(gaps, who+" is in the pool, and is no server")
		case m.Status != MemberAlive && wanted:
			gaps = append(gaps, fmt.Sprintf("%s is %s", who, m.Status))
		case m.Status == MemberAlive && !wanted:
			gaps = append(gaps, who+" is alive, and should not be")
		}
		alive[WANMember{Name: m.Name, DC: m.DC}]++
	}
	for dc, names := range servers {
		for _, name := range names {
			switch n := alive[WANMember{Name: name, DC: dc}]; {
			case n == 0:
				gaps = append(gaps, fmt.Sprintf("%s of %s is not in the pool", name, dc))
			case n > 1:
				gaps = append(gaps, fmt.Sprintf("%s of %s is in the pool %d times", name, dc, n))
			}
		}
	}
	slices.Sort(gaps)
	return gaps
}

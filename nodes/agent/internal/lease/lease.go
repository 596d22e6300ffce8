// Package lease computes how long a leader may answer reads without asking the voters.
//
// # The promise
//
// A voter that follows leader L in term T, and was last in contact with it at instant
// c, votes for nobody else before c + H by its own clock, H being the heartbeat timeout.
// In hashicorp/raft v1.8.0, raft.go: requestVote and requestPreVote refuse every
// candidate while a leader is known (unless the leader itself hands over, which package
// agent treats apart); runFollower forgets the leader only when its heartbeat timer
// fires and the last contact is at least H ago; and a candidacy of its own begins only
// there. The last contact never moves back. This is the promise of section 6.4.1 of
// Ongaro's dissertation, "Consensus: Bridging Theory and Practice", in the library's terms.
//
// # The grant
//
// The leader asks a voter at instant s of its own clock. The voter answers with the age
// of its last contact, a, measured while it answers: so after s. At that moment H - a
// remains of its promise, by its clock. If two monotonic clocks never differ in rate by
// more than the factor 1 + D (DriftPercent), then at least (H - a) / (1 + D) remains by the
// leader's clock, and the promise holds until
//
//	s + (H - a) / (1 + D)
//
// # The lease
//
// A later leader needs the votes of a majority, and any two majorities of a peer set
// (or of two sets that differ by one server) share a voter. So no later leader exists
// while a quorum of voters is bound: until the quorum-th largest of the grants, where
// the leader, which votes for nobody while it leads, counts as bound forever.
package lease

import (
	"math"
	"slices"
	"time"
)

// DriftPercent bounds by how much the rates of two nodes' monotonic clocks may differ. Quartz
// clocks differ by less than 0.01 %, and NTP slews by at most 0.05 %; one tenth leaves
// room for virtual machines, and costs a tenth of the lease.
const DriftPercent = 10

// Forever is the grant of the leader itself.
const Forever = time.Duration(math.MaxInt64)

// Grant is until when, by the leader's clock, a voter is bound: it was asked at sent and
// had been in contact with the leader age ago. It is at most sent if the voter is not bound.
func Grant(sent, age, heartbeat time.Duration) time.Duration {
	left := heartbeat - max(age, 0)
	if left <= 0 {
		return sent
	}
	return sent + left*100/(100+DriftPercent)
}

// End is until when a lease lasts that stands on these grants; 0 if they are not a
// majority of so many voters.
func End(grants []time.Duration, voters int) time.Duration {
	quorum := Quorum(voters)
	if quorum < 1 || len(grants) < quorum {
		return 0
	}
	sorted := slices.Sorted(slices.Values(grants))
	return sorted[len(sorted)-quorum]
}

// Quorum is the smallest majority of so many voters.
func Quorum(voters int) int {
	if voters <= 0 {
		return 0
	}
	return voters/2 + 1
}

// Silence is how long a server that has voted before must keep silent after its start:
// it has forgotten its last contact, and so what it promised. All that it promised ends
// within a heartbeat timeout by its own clock, and its clock before the restart may have
// been another.
func Silence(heartbeat time.Duration) time.Duration {
	return (heartbeat*(100+DriftPercent) + 99) / 100
}

package checker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

func (tp *tape) peers(ms int, node string, set history.PeerSet) *tape {
	return tp.add(ms, history.Event{Process: history.Observer, Type: history.Info, F: history.FPeers, Node: node, Value: encode(set)})
}

// peerSet is one of voters; a name with a question mark has no vote.
func peerSet(names ...string) (s history.PeerSet) {
	for i, name := range names {
		voter := name[len(name)-1] != '?'
		if !voter {
			name = name[:len(name)-1]
		}
		s.Peers = append(s.Peers, history.Peer{ID: fmt.Sprint(i), Node: name, Voter: voter})
	}
	return s
}

func TestMembers(t *testing.T) {
	right, wrong, silent := peerSet("s1", "s2", "s3"), peerSet("s1", "s2", "s3?"), history.PeerSet{Error: "timeout"}
	record := func(from, looks int, told func(look int) history.PeerSet) *tape {
		tp := &tape{}
		tp.phase(0, history.PhaseFaults).ok(1, 2, "write").peers(50, "s1", right).begin(100, 0).heal(200, 0).baseline(300).phase(300, history.PhaseQuiet)
		for i := range looks {
			tp.peers(from+500*i, fmt.Sprintf("s%d", i%3+1), told(i))
		}
		return tp.phase(from+500*looks, history.PhaseFinal)
	}
	always := func(s history.PeerSet) func(int) history.PeerSet { return func(int) history.PeerSet { return s } }
	for _, c := range []struct {
		name    string
		tape    *tape
		verdict Verdict
		says    string
	}{
		{"right at once", record(500, 1, always(right)), Valid, "200 ms after the last heal the peer set was the 3 servers, all voters"},
		{"right in the end", record(500, 9, func(look int) history.PeerSet {
			if look < 8 {
				return wrong
			}
			return right
		}), Valid, "4200 ms after the last heal"},
		{"one has no vote, for as long as it was given", record(500, 12, always(wrong)), Invalid, "the peer set 5700 ms after the last heal: s3 has no vote (as s3 tells it); allowed are 5000 ms"},
		{"one was never taken in", record(500, 12, always(peerSet("s1", "s2"))), Invalid, "s3 is no peer"},
		{"one who left is still there", record(500, 12, always(peerSet("s1", "s2", "s3", "x1"))), Invalid, "x1 is a peer, and should not be"},
		{"one has no vote, and has time left", record(500, 9, always(wrong)), Unknown, "s3 has no vote"},
		{"too few looks", record(500, 12, func(look int) history.PeerSet {
			if look < 8 {
				return silent
			}
			return wrong
		}), Unknown, "s3 has no vote"},
		{"just enough looks", record(500, 13, func(look int) history.PeerSet {
			if look < 8 {
				return silent
			}
			return wrong
		}), Invalid, "s3 has no vote"},
		{"nobody told any", record(500, 12, always(silent)), Unknown, "no server told the peer set after the last heal (s3 did not answer: timeout)"},
		{"nobody asked", record(500, 0, nil), Unknown, "no server told the peer set after the last heal (none was asked)"},
		{"wrong, then nobody tells", record(500, 20, func(look int) history.PeerSet {
			if look < 8 {
				return wrong
			}
			return silent
		}), Unknown, "the peer set 3700 ms after the last heal: s3 has no vote"},
		{"somebody killed one", record(500, 12, always(wrong)).killed(6600, "s3"), Unknown, "s3 has no vote"},
		{"the run was interrupted", record(500, 12, always(wrong)).phase(6600, history.PhaseInterrupt), Unknown, "s3 has no vote"},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := c.tape.events[len(c.tape.events)-1].Time
			run := c.tape.phase(int(last/1e6), history.PhaseEnd).run(t, bound(5*time.Second))
			run.Topology = threeServers()
			r := checkMembers(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
	cut := record(500, 1, always(right)).run(t, bound(5*time.Second))
	cut.Topology = threeServers()
	require.Equal(t, Unknown, checkMembers(context.Background(), cut).Verdict, "what would have followed was not seen")
	cut = record(500, 12, always(wrong)).run(t, bound(5*time.Second))
	cut.Topology = threeServers()
	require.Equal(t, Unknown, checkMembers(context.Background(), cut).Verdict)
}

// A heal that only the system kept from being complete is its failure; any other excuses it.
func TestAMachineThatIsNeverTakenIn(t *testing.T) {
	names := []string{"s1", "s2", "s3"}
	healthy := faults.Measurement{Links: map[faults.Pair]faults.LinkMeasurement{}, Processes: map[string]faults.ProcessState{}}
	for _, a := range names {
		for _, b := range names {
			if a != b {
				healthy.Links[faults.Pair{From: a, To: b}] = faults.LinkMeasurement{UDP: true, TCP: faults.TCPOpen}
			}
		}
	}
	down := healthy
	down.Processes = map[string]faults.ProcessState{"s3": faults.Killed}
	votes := faults.Finding{About: "voters", Want: faults.Has, Names: []string{"s3"}}
	const late = "the time is up; the last look: s3 does not vote"
	evidence := func(got *faults.Measurement, failure string, found ...faults.Finding) *faults.Evidence {
		return &faults.Evidence{Before: &faults.Conditions{}, Want: &faults.Conditions{}, Nodes: names, Got: got, Error: failure, Findings: found}
	}
	for _, c := range []struct {
		name    string
		heal    *faults.Evidence
		verdict Verdict
	}{
		{"it was started, and does not vote", evidence(&healthy, late, votes), Invalid},
		{"it does not run", evidence(&down, late, votes), Unknown},
		{"nothing was measured", evidence(nil, late, votes), Unknown},
		{"nobody waited for it", evidence(&healthy, "not set: the pod is gone"), Unknown},
		{"it votes, and something else failed", evidence(&healthy, "interrupted", faults.Finding{About: "voters", Want: faults.Has, Names: []string{"s3"}, Got: []string{"s3"}}), Unknown},
		{"it did not end as it was told to", evidence(&healthy, late, votes, faults.Finding{About: "ended by itself", Want: faults.Has, Names: []string{"s3"}}), Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(100, 0).mark(200, "replace", `{"step":0,"stage":"heal"}`)
			tp.mark(300, "replace", string(encode(history.FaultEvent{Step: 0, Stage: history.FaultHeal, Done: true, Evidence: c.heal})))
			tp.baseline(400)
			for ms := 500; ms < 8000; ms += 500 {
				tp.peers(ms, "s1", peerSet("s1", "s2"))
			}
			run := tp.phase(8000, history.PhaseEnd).run(t, bound(5*time.Second))
			run.Topology = threeServers()
			require.False(t, run.Faults[0].HealVerified)
			r := checkMembers(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s %q", r.Summary, r.Reasons)
			require.False(t, run.Faults[0].HealVerified, "what was recorded stays")
		})
	}
}

func TestWhoTellsPeers(t *testing.T) {
	run := (&tape{}).peers(1, "s1", peerSet("s1")).run(t, Settings{})
	require.Empty(t, tellsPeers(run))
	run.Settings.Abilities = []history.Ability{history.LeavesCluster}
	require.Contains(t, tellsPeers(run), "cannot be looked at")
	require.Contains(t, tellsPeers((&tape{}).run(t, Settings{})), "nobody asked")
}

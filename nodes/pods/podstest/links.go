package podstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

func testCapabilities(t *testing.T, s Subject) {
	c := linkOf(S1, S2, faults.Link{Drop: true, Delay: time.Millisecond, Loss: 0.1, Rate: 1000,
		Reorder: 0.1, Duplicate: 0.1, Corrupt: 0.1})
	c.Cut([]string{S2}, []string{S1}, faults.Link{Reject: true, Ports: "9"})
	c.SetProcess([]string{S1}, faults.Paused)
	c.SetProcess([]string{S2}, faults.Killed)
	require.Subset(t, s.Runtime.Capabilities(), c.Needs())
}

func testLinksAreCut(t *testing.T, _ Subject, c nodes.Cluster) {
	drop, reject := faults.Link{Drop: true}, faults.Link{Reject: true}
	both := linkOf(S1, S2, drop)
	both.Cut([]string{S2}, []string{S1}, reject)
	mutual := linkOf(S1, S2, reject)
	mutual.Cut([]string{S2}, []string{S1}, reject)
	for _, want := range []faults.Conditions{
		{},
		linkOf(S1, S2, drop), linkOf(S2, S1, drop),
		linkOf(S1, S2, reject), linkOf(S2, S1, reject),
		linkOf(S1, S2, faults.Link{Drop: true, Reject: true}),
		both, mutual, mutual,
		{},
	} {
		RequireConditions(t, c, want)
	}
}

// testPortsAreClosed has ports closed in one direction and in both, with all else open, on a lossy link, and beside a refusal.
func testPortsAreClosed(t *testing.T, _ Subject, c nodes.Cluster) {
	both := linkOf(S1, S2, faults.Link{Ports: "8302"})
	both.Cut([]string{S2}, []string{S1}, faults.Link{Ports: "8300,8302", Loss: 0.2})
	for _, want := range []faults.Conditions{
		linkOf(S1, S2, faults.Link{Ports: "8302"}),
		both,
		linkOf(S1, S2, faults.Link{Ports: "8302", Reject: true}),
		linkOf(S1, S2, faults.Link{Ports: "8302", Drop: true}),
		{},
	} {
		RequireConditions(t, c, want)
	}

	closed := linkOf(S1, S2, faults.Link{Ports: "8302"})
	RequireConditions(t, c, closed)
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, m.Mismatches(faults.Conditions{}, []string{S1, S2, S3}), "a closed port is noticed")
	require.NotEmpty(t, m.Mismatches(linkOf(S1, S2, faults.Link{Ports: "8300"}), []string{S1, S2, S3}))
	RequireConditions(t, c, faults.Conditions{})
	m, err = c.Measure(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, m.Mismatches(closed, []string{S1, S2, S3}), "an open port is noticed")
}

// testLinksAreShaped has every kind of link fault measured as asked, in one direction, with
// all other links healthy, and all of them at once in both.
func testLinksAreShaped(t *testing.T, s Subject) {
	c := Up(t, s, "shaped")
	ms := time.Millisecond
	for _, state := range []faults.Link{
		{Delay: 40 * ms},
		{Loss: 0.2, Seed: 1},
		{BurstLoss: 0.2, Burst: 5, Seed: 2},
		{Delay: 20 * ms, Jitter: 20 * ms},
		{Delay: 20 * ms, Jitter: 30 * ms, Scramble: true},
		{Reorder: 0.3},
		{Duplicate: 0.3},
		{Corrupt: 0.3},
		{Rate: 100_000},
		{Rate: 10_000, Queue: 4000},
		{Rate: 5_000_000},
		{Loss: 0.1, Delay: 10 * ms, Reject: true},
		{Loss: 0.1, Delay: 10 * ms, Jitter: 10 * ms, Reorder: 0.1, Duplicate: 0.1, Corrupt: 0.1, Rate: 1_000_000},
		{},
	} {
		t.Run(state.String(), func(t *testing.T) {
			RequireConditions(t, c, linkOf(S1, S2, state))
			m, err := c.Measure(t.Context())
			require.NoError(t, err)
			t.Logf("%+v", m.Links[faults.Pair{From: S1, To: S2}])
		})
	}
	everything := faults.Conditions{}
	all := faults.Link{Loss: 0.05, Delay: 10 * ms, Jitter: 5 * ms, Scramble: true, Duplicate: 0.05, Corrupt: 0.05, Reorder: 0.1}
	everything.Cut([]string{S1, S2, S3}, []string{S1, S2, S3}, all)
	everything.Cut([]string{S1}, []string{S2}, faults.Link{Drop: true})
	RequireConditions(t, c, everything)
	RequireConditions(t, c, faults.Conditions{})
}

func testSetIsIdempotent(t *testing.T, s Subject) {
	c := Up(t, s, "again")
	want := linkOf(S1, S2, faults.Link{Drop: true})
	want.Cut([]string{S2}, []string{S3}, faults.Link{Reject: true})
	want.Cut([]string{S3}, []string{S1}, faults.Link{Delay: 30 * time.Millisecond})
	want.SetProcess([]string{S2}, faults.Paused)
	want.SetProcess([]string{S3}, faults.Killed)
	for _, want := range []faults.Conditions{{}, want, {}} {
		RequireConditions(t, c, want)
		RequireConditions(t, c, want)
	}
	for node, starts := range map[string]int{S1: 1, S2: 1, S3: 2} {
		require.Equal(t, starts, Ask(t, c, node).Starts, node)
	}
}

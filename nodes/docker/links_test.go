package docker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

// TestLinksAreShaped has every kind of link fault measured as asked, in one direction,
// with all other links healthy, and all of them at once in both.
func TestLinksAreShaped(t *testing.T) {
	c := up(t, "shaped", "dc1-3")
	ms := time.Millisecond
	for _, state := range []nodes.LinkState{
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
			want := nodes.Conditions{}
			want.Cut([]string{s1}, []string{s2}, state)
			requireConditions(t, c, want)
			m, err := c.Measure(t.Context())
			require.NoError(t, err)
			t.Logf("%+v", m.Links[nodes.Link{From: s1, To: s2}])
		})
	}
	everything := nodes.Conditions{}
	all := nodes.LinkState{Loss: 0.05, Delay: 10 * ms, Jitter: 5 * ms, Scramble: true, Duplicate: 0.05, Corrupt: 0.05, Reorder: 0.1}
	everything.Cut([]string{s1, s2, s3}, []string{s1, s2, s3}, all)
	everything.Cut([]string{s1}, []string{s2}, nodes.LinkState{Drop: true})
	requireConditions(t, c, everything)
	requireConditions(t, c, nodes.Conditions{})
}

package docker

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/pods/podstest"
)

func TestEndpointsOfKilledNodes(t *testing.T) {
	for published, want := range map[string]string{"0": ":8500", "1": "127.0.0.1:"} {
		t.Run("published "+published, func(t *testing.T) {
			t.Setenv(publishedPorts, published)
			c := up(t, "endpoint-"+published)
			if published == "0" && isPublished(c) {
				t.Skip("the pods of this engine cannot be reached by their own addresses")
			}
			require.Contains(t, c.byName[s1].endpoint, want)
			podstest.Ask(t, c, s1)
			var killed nodes.Conditions
			killed.SetProcess([]string{s1}, nodes.Killed)
			require.NoError(t, c.Set(t.Context(), killed))
			_, err := podstest.Web(c, s1).Get("http://" + s1 + "/")
			require.Error(t, err)
			if published == "0" {
				require.ErrorIs(t, err, syscall.ECONNREFUSED, "definite: nobody received the request")
			}
		})
	}
}

func TestABrokenControlStreamIsOpenedAgain(t *testing.T) {
	c := up(t, "stream")
	want := nodes.Conditions{}
	want.Cut([]string{s1}, []string{s2, s3}, nodes.LinkState{Reject: true})
	want.Cut([]string{s2}, []string{s3}, nodes.LinkState{Delay: 30 * time.Millisecond})
	podstest.RequireConditions(t, c, want)
	require.NoError(t, c.group.HangUp())
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.Empty(t, m.Mismatches(want, []string{s1, s2, s3}), "nothing is forgotten with the stream")
	podstest.RequireConditions(t, c, nodes.Conditions{})
}

func TestCleanRemovesWhatDeadOwnersLeft(t *testing.T) {
	podstest.Alone(t)
	alive := up(t, "alive")
	e := alive.engine
	dead := podstest.Spec(t, "ownerless")
	c, err := newCluster(e, dead)
	require.NoError(t, err)
	c.owner = "1.1.another-boot"
	require.NoError(t, c.start(t.Context(), dead.System, nodes.Conditions{}))

	removed, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, leftovers(t, e, dead.Run))
	lines := strings.Join(removed, "\n")
	for _, line := range []string{
		"container faultline-" + dead.Run + "-dc1-s1 (run " + dead.Run + ")",
		"container faultline-" + dead.Run + "-dc1-s1-pod (run " + dead.Run + ")",
		"volume faultline-" + dead.Run + "-dc1-s1 (run " + dead.Run + ")",
		"network faultline-" + dead.Run + " (run " + dead.Run + ")",
	} {
		require.Contains(t, lines, line)
	}
	require.NotContains(t, lines, alive.run)
	podstest.RequireConditions(t, alive, nodes.Conditions{})
	require.NoError(t, c.Close(t.Context()))
}

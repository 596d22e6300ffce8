package docker

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	dc "github.com/ory/dockertest/v3/docker"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/pods"
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

	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, leftovers(t, e, dead.Run))
	lines := strings.Join(cleaned.Removed, "\n")
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

// A run whose harness is in another pid namespace, as in a CI's container that has the engine's
// socket, is not taken for abandoned while its pods run.
func TestCleanSparesRunsOfOtherPidNamespaces(t *testing.T) {
	podstest.Alone(t)
	spec := podstest.Spec(t, "elsewhere")
	e := up(t, "beside").engine
	c, err := newCluster(e, spec)
	require.NoError(t, err)
	me, err := pods.Self(os.DirFS("/proc"))
	require.NoError(t, err)
	c.owner = me.String() + "1" // another namespace of this boot
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	require.NoError(t, c.start(t.Context(), spec.System, nodes.Conditions{}))

	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.NotContains(t, strings.Join(cleaned.Removed, "\n"), spec.Run)
	require.Contains(t, strings.Join(cleaned.Left, "\n"), "run "+spec.Run+": its owner is in another pid namespace, and its pods run")
	podstest.RequireConditions(t, c, nodes.Conditions{})

	for _, p := range c.pods { // as they do by themselves when their harness is gone
		require.NoError(t, e.client.KillContainer(dc.KillContainerOptions{ID: p.holder, Signal: dc.SIGKILL}))
	}
	require.Eventually(t, func() bool {
		found, err := e.findClusters(t.Context())
		return err == nil && !found[c.id].runs
	}, 20*time.Second, 20*time.Millisecond)
	owners, err := pods.Owners(os.DirFS("/proc"))
	require.NoError(t, err)
	found, err := e.findClusters(t.Context())
	require.NoError(t, err)
	abandoned, why := found[c.id].abandoned(owners, time.Now())
	require.False(t, abandoned)
	require.Contains(t, why, "may be just starting it")
	abandoned, why = found[c.id].abandoned(owners, time.Now().Add(startingWithin))
	require.True(t, abandoned)
	require.Empty(t, why)
}

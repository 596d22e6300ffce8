package docker

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/pods"
	"faultline/nodes/pods/podstest"
)

func TestPublishedPorts(t *testing.T) {
	t.Setenv(publishedPorts, "1")
	require.Equal(t, publishing.Runtime, New())
}

// publishing is the runtime where pods cannot be reached by their own addresses.
var publishing = func() podstest.Subject {
	s := subject
	s.Prefix, s.Runtime = "published-", runtime{limits: defaultLimits, published: true}
	return s
}()

func TestPodsWithPublishedPorts(t *testing.T) {
	podstest.Run(t, publishing, podstest.Suite("strangers reach no node", "a dead node refuses connections", "killed nodes keep address, data, rules and endpoint"))
}

// The pods' network leads to them and nowhere else, unless ports have to be published.
func TestPortsArePublishedOnlyWhereTheyHaveTo(t *testing.T) {
	t.Parallel()
	for forced, prefix := range map[bool]string{false: "", true: "127.0.0.1:"} {
		t.Run(fmt.Sprint("forced ", forced), func(t *testing.T) {
			t.Parallel()
			s := subject
			s.Runtime = runtime{limits: defaultLimits, published: forced}
			c := podstest.Up(t, s, fmt.Sprint("ports-", forced)).(*cluster)
			if !forced && c.published {
				t.Skip("the pods of this engine cannot be reached by their own addresses")
			}
			if prefix == "" {
				prefix = c.byName[s1].addr.String() + ":"
			}
			require.Contains(t, c.byName[s1].proxy, prefix)
			seen, err := c.engine.client.NetworkInspect(t.Context(), "faultline-"+c.run, client.NetworkInspectOptions{})
			require.NoError(t, err)
			require.Equal(t, !forced, seen.Network.Internal)
			holder, err := c.inspect(t.Context(), "looking at the pod", c.byName[s1].holder)
			require.NoError(t, err)
			ports := slices.Collect(maps.Keys(holder.NetworkSettings.Ports))
			require.Equal(t, forced, len(ports) > 0, "%v", ports)
			podstest.Ask(t, c, s1)
		})
	}
}

func TestContainersAreLimited(t *testing.T) {
	t.Parallel()
	c := up(t, "limits")
	for _, id := range []string{c.byName[s1].holder, c.byName[s1].container} {
		seen, err := c.inspect(t.Context(), "looking at "+id, id)
		require.NoError(t, err)
		require.EqualValues(t, memoryLimit, seen.HostConfig.Memory)
		require.EqualValues(t, memoryLimit, seen.HostConfig.MemorySwap)
		require.EqualValues(t, processLimit, *seen.HostConfig.PidsLimit)
	}
}

func TestABrokenControlStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	c := up(t, "stream")
	want := faults.Conditions{}
	want.Cut([]string{s1}, []string{s2, s3}, faults.Link{Reject: true})
	want.Cut([]string{s2}, []string{s3}, faults.Link{Delay: 30 * time.Millisecond})
	podstest.RequireConditions(t, c, want)
	require.NoError(t, c.group.HangUp())
	time.Sleep(12 * time.Second) // in which nobody asks anything, and after which a pod without a stream is gone
	m, err := c.Measure(t.Context())
	require.NoError(t, err)
	require.Empty(t, m.Mismatches(want, []string{s1, s2, s3}), "nothing is forgotten with the stream")
	podstest.RequireConditions(t, c, faults.Conditions{})
}

func TestCleanRemovesWhatDeadOwnersLeft(t *testing.T) {
	podstest.Alone(t)
	alive := up(t, "alive")
	e := alive.engine
	dead := podstest.Spec(t, "ownerless")
	c, err := newCluster(e, dead)
	require.NoError(t, err)
	c.owner = deadOwner(t)
	require.NoError(t, c.start(t.Context(), dead.System, faults.Conditions{}))

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
	podstest.RequireConditions(t, alive, faults.Conditions{})
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
	require.NoError(t, c.start(t.Context(), spec.System, faults.Conditions{}))

	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.NotContains(t, strings.Join(cleaned.Removed, "\n"), spec.Run)
	require.Contains(t, strings.Join(cleaned.Left, "\n"), "run "+spec.Run+": its owner cannot be seen from here (another pid namespace?), and its pods run")
	podstest.RequireConditions(t, c, faults.Conditions{})

	for _, p := range c.pods { // as they do by themselves when their harness is gone
		kill(t, c, p.holder)
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
	abandoned, why = found[c.id].abandoned(owners, time.Now().Add(startingWithin+time.Second))
	require.True(t, abandoned)
	require.Empty(t, why)
}

// deadOwner is an owner of this machine and pid namespace whose process has ended.
func deadOwner(t *testing.T) string {
	t.Helper()
	me, err := pods.Self(os.DirFS("/proc"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(me.String(), ".")
	return "1073741824." + rest // no pid is so large
}

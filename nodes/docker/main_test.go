package docker

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/pods/podstest"
)

const s1, s2, s3 = podstest.S1, podstest.S2, podstest.S3

var subject = podstest.Subject{
	Runtime: New(),
	Require: "FAULTLINE_REQUIRE_DOCKER",
	Leftovers: func(t testing.TB, run string) []string {
		e, err := connect(context.Background(), defaultLimits)
		require.NoError(t, err)
		return leftovers(t, e, run)
	},
	Died: func(ctx context.Context, started nodes.Cluster, node string) error {
		c := started.(*cluster)
		return c.died(ctx, c.byName[node])
	},
	Pod: func(t testing.TB, started nodes.Cluster, node string) (namespace string, kill func() error) {
		c := started.(*cluster)
		seen, err := c.inspect(t.Context(), "looking at the pod", c.byName[node].holder)
		require.NoError(t, err)
		return podstest.PIDNamespace(t, seen.State.Pid), func() error {
			_, err := c.engine.client.ContainerKill(t.Context(), seen.ID, client.ContainerKillOptions{})
			return err
		}
	},
	Taken:    "faultline clean",
	Parallel: true,
	Outside: func(started nodes.Cluster, node string) []string {
		p := started.(*cluster).byName[node]
		outside := []string{p.proxy}
		for _, port := range []string{"8500", "19997", "19998"} { // the API's, the proxy's, and of probes
			outside = append(outside, net.JoinHostPort(p.addr.String(), port))
		}
		return outside
	},
}

func TestMain(m *testing.M) {
	if program := os.Getenv(harness); program != "" {
		fmt.Fprintln(os.Stderr, "harness:", beHarness(program))
		os.Exit(1)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(clustersAtOnce)); err != nil {
		panic(err)
	}
	podstest.Main(m)
}

// clustersAtOnce is how many tests may have a cluster at a time. They wait more than they compute.
const clustersAtOnce = 3

func TestPods(t *testing.T)      { podstest.Test(t, subject) }
func BenchmarkPods(b *testing.B) { podstest.Benchmark(b, subject) }

// up starts a cluster that is gone without a trace after the test.
func up(t testing.TB, name string) *cluster {
	t.Helper()
	return podstest.Up(t, subject, name).(*cluster)
}

// leftovers lists what the engine has of a run.
func leftovers(t testing.TB, e *engine, run string) []string {
	ours := func(labels map[string]string) bool { return labels[labelRun] == run }
	var names []string
	nodes, holders, err := e.listContainers(context.Background(), labelRun, ours)
	require.NoError(t, err)
	for _, c := range append(nodes, holders...) {
		names = append(names, strings.Join(c.Names, " "))
	}
	volumes, err := e.listVolumes(context.Background(), labelRun, ours)
	require.NoError(t, err)
	for _, v := range volumes {
		names = append(names, v.Name)
	}
	networks, err := e.listNetworks(context.Background(), labelRun, ours)
	require.NoError(t, err)
	for _, n := range networks {
		names = append(names, n.Name)
	}
	return names
}

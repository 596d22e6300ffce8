package podstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// S1, S2 and S3 are the nodes of the clusters that Up starts.
const S1, S2, S3 = "dc1-s1", "dc1-s2", "dc1-s3"

// RunName is a name that no other test process uses at the same time.
func RunName(suffix string) string { return fmt.Sprintf("test-%d-%s", os.Getpid(), suffix) }

// Spec is the cluster that Up starts under this name.
func Spec(t testing.TB, name string) nodes.Spec { return spec(t, name, "dc1-3") }

func spec(t testing.TB, name, layout string) nodes.Spec {
	topology, err := topologies.Load(layout)
	require.NoError(t, err)
	return nodes.Spec{Run: RunName(name), Topology: topology, System: System{}}
}

// Up starts a cluster of three nodes that is gone without a trace after the test.
func Up(t testing.TB, s Subject, name string) nodes.Cluster {
	t.Helper()
	return up(t, s, name, "dc1-3")
}

func up(t testing.TB, s Subject, name, layout string) nodes.Cluster {
	t.Helper()
	Need(t, s)
	return start(t, s, spec(t, s.Prefix+name, layout))
}

func start(t testing.TB, s Subject, spec nodes.Spec) nodes.Cluster {
	t.Helper()
	c, err := s.Runtime.Start(t.Context(), spec)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, c.Close(ctx))
		require.NoError(t, c.Close(ctx), "Close is safe to call twice")
		require.Empty(t, s.Leftovers(t, spec.Run))
	})
	return c
}

// Web is a client of a node's API, with connections of its own that are not kept.
func Web(c nodes.Cluster, node string) *http.Client {
	return &http.Client{Transport: transport(c, node, true)}
}

func transport(c nodes.Cluster, node string, short bool) *http.Transport {
	return &http.Transport{DisableKeepAlives: short, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return c.Endpoint(node).Dial(ctx)
	}}
}

// About is what a node of System says about itself.
type About struct {
	Args   string            `json:"args"`
	Starts int               `json:"starts"`
	Kept   int               `json:"kept"`  // starts, as counted in a file that is synced
	Began  time.Time         `json:"began"` // read first of all
	Now    time.Time         `json:"now"`
	Addrs  []string          `json:"addrs"`
	Place  map[string]string `json:"place"` // what it can see and do
	Kind   string            `json:"kind"`  // of its start, by its environment
	File   string            `json:"file"`  // that was written for it
}

// still is what does not change with time.
func (a About) still() About {
	a.Began, a.Now, a.Kind, a.File = time.Time{}, time.Time{}, "", ""
	return a
}

// Ask waits until the node answers: it is started before it listens.
func Ask(t testing.TB, c nodes.Cluster, node string) (a About) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := Web(c, node).Get("http://" + node + "/")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&a) == nil
	}, 20*time.Second, 20*time.Millisecond, "%s does not answer", node)
	return a
}

// RequireConditions sets conditions of a cluster that Up has started, and measures until they
// are seen.
func RequireConditions(t testing.TB, c nodes.Cluster, want faults.Conditions) {
	t.Helper()
	require.NoError(t, c.Set(t.Context(), want))
	requireMeasured(t, c, want)
}

// requireMeasured measures until conditions are seen.
func requireMeasured(t testing.TB, c nodes.Cluster, want faults.Conditions) {
	t.Helper()
	var wrong []string
	for range 5 { // a busy machine can be slower than a probe's timeout
		m, err := c.Measure(t.Context())
		require.NoError(t, err)
		if wrong = m.Mismatches(want, []string{S1, S2, S3}); len(wrong) == 0 {
			return
		}
	}
	require.Empty(t, wrong, "conditions: %s", want)
}

// processOf is a healthy cluster but for one node's process.
func processOf(node string, state faults.ProcessState) (c faults.Conditions) {
	c.Processes = map[string]faults.ProcessState{node: state}
	return c
}

// linkOf is a healthy cluster but for one direction between two nodes.
func linkOf(from, to string, state faults.Link) (c faults.Conditions) {
	c.Cut([]string{from}, []string{to}, state)
	return c
}

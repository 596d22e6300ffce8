package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
)

// requireDocker, when set to 1, makes a test that needs an engine fail without one.
const requireDocker = "FAULTLINE_REQUIRE_DOCKER"

// needEngine skips a test on a machine without an engine, unless requireDocker forbids it.
func needEngine(t testing.TB) *engine {
	t.Helper()
	e, err := connect(t.Context(), defaultLimits)
	if err != nil && os.Getenv(requireDocker) != "1" {
		t.Skipf("needs Docker: %v", err)
	}
	require.NoError(t, err)
	return e
}

// fakeSystem runs testdata/node.
type fakeSystem struct{}

// textSystem has a binary that cannot be executed.
type textSystem struct{ fakeSystem }

func (textSystem) Binary(context.Context) (string, error) { return filepath.Abs("main_test.go") }

var fakeBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "faultline-docker-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "node")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./testdata/node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := fakeBinary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func (fakeSystem) Name() string                           { return "fake" }
func (fakeSystem) Binary(context.Context) (string, error) { return fakeBinary() }
func (fakeSystem) APIPort() int                           { return 8500 }
func (fakeSystem) Client(string) nodes.Client             { return nil }
func (fakeSystem) Args(self nodes.Place, all []nodes.Place) []string {
	args := []string{self.Dir, "self=" + self.Addr.String()}
	for _, p := range all {
		args = append(args, p.Name+"="+p.Addr.String())
	}
	return args
}

// runName is a name that no other test process uses at the same time.
func runName(t testing.TB, suffix string) string {
	return fmt.Sprintf("test-%d-%s", os.Getpid(), suffix)
}

func spec(t testing.TB, name string, layout string) nodes.Spec {
	topology, err := topologies.Load(layout)
	require.NoError(t, err)
	return nodes.Spec{Run: runName(t, name), Topology: topology, System: fakeSystem{}}
}

// up starts a cluster that is gone without a trace after the test.
func up(t testing.TB, name, layout string) *cluster {
	t.Helper()
	e := needEngine(t)
	started, err := New().Start(t.Context(), spec(t, name, layout))
	require.NoError(t, err)
	c := started.(*cluster)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, c.Close(ctx))
		require.NoError(t, c.Close(ctx), "Close is safe to call twice")
		require.Empty(t, leftovers(t, e, runName(t, name)))
	})
	return c
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
	networks, err := e.listNetworks(context.Background(), ours)
	require.NoError(t, err)
	for _, n := range networks {
		names = append(names, n.Name)
	}
	return names
}

// about is what a fake node says about itself.
type about struct {
	Args   string `json:"args"`
	Starts int    `json:"starts"`
}

// ask waits until the node answers: it is started before it listens.
func ask(t testing.TB, c *cluster, node string) (a about) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := http.Get("http://" + c.Endpoint(node) + "/")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&a) == nil
	}, 20*time.Second, 20*time.Millisecond, "%s does not answer", node)
	return a
}

// requireConditions sets conditions, and measures until they are seen.
func requireConditions(t testing.TB, c *cluster, want nodes.Conditions) {
	t.Helper()
	require.NoError(t, c.Set(t.Context(), want))
	var names []string
	for _, p := range c.pods {
		names = append(names, p.node.Name)
	}
	var wrong []string
	for range 5 { // a busy machine can be slower than a probe's timeout
		m, err := c.Measure(t.Context())
		require.NoError(t, err)
		if wrong = m.Mismatches(want, names); len(wrong) == 0 {
			return
		}
	}
	require.Empty(t, wrong, "conditions: %s", want)
}

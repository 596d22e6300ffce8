//go:build linux

package local

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

// requireLocal, when set to 1, makes a test that needs namespaces fail without them.
const requireLocal = "FAULTLINE_REQUIRE_LOCAL"

// needNamespaces skips a test on a machine that forbids them, unless requireLocal does not.
// The run's directories are the test's own.
func needNamespaces(t testing.TB) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	err := New().Check(t.Context())
	if err != nil && os.Getenv(requireLocal) != "1" {
		t.Skipf("needs namespaces: %v", err)
	}
	require.NoError(t, err)
}

// fakeSystem runs testdata/node.
type fakeSystem struct{}

// textSystem has a binary that cannot be executed.
type textSystem struct{ fakeSystem }

func (textSystem) Binary(context.Context) (string, error) { return filepath.Abs("main_test.go") }

// binaries is where fakeBinary goes; tests have a TMPDIR each.
var binaries string

var fakeBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "node")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./testdata/node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if binaries = os.Getenv(harness); binaries != "" {
		fmt.Fprintln(os.Stderr, "harness:", beHarness())
		os.Exit(1)
	}
	var err error
	if binaries, err = os.MkdirTemp("", "faultline-local-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(binaries); err != nil {
		panic(err)
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
	needNamespaces(t)
	started, err := New().Start(t.Context(), spec(t, name, layout))
	require.NoError(t, err)
	c := started.(*cluster)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, c.Close(ctx))
		require.NoError(t, c.Close(ctx), "Close is safe to call twice")
		requireNothingLeft(t, c.files.dir)
	})
	return c
}

// requireNothingLeft looks for a run's directory, and for processes that execute its programs
// or are told of them.
func requireNothingLeft(t testing.TB, dir string) {
	t.Helper()
	require.NoDirExists(t, dir)
	require.Empty(t, processesOf(t, dir))
}

func processesOf(t testing.TB, dir string) (pids []string) {
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.Contains(string(line), dir) { // else it is no process, or gone
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// about is what a fake node says about itself.
type about struct {
	Args   string            `json:"args"`
	Starts int               `json:"starts"`
	Place  map[string]string `json:"place"`
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

//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/pods/podstest"
)

const s1, s2, s3 = podstest.S1, podstest.S2, podstest.S3

var subject = podstest.Subject{
	Runtime:   New(),
	Require:   "FAULTLINE_REQUIRE_LOCAL",
	Leftovers: leftovers,
	Died: func(_ context.Context, started nodes.Cluster, node string) error {
		c := started.(*cluster)
		return c.died(c.byName[node])
	},
	Pod:   podOf,
	Taken: "another run",
}

func TestMain(m *testing.M) {
	if os.Getenv(claimer) != "" {
		fmt.Fprintln(os.Stderr, "claimer:", beClaimer())
		os.Exit(1)
	}
	if program := os.Getenv(harness); program != "" {
		fmt.Fprintln(os.Stderr, "harness:", beHarness(program))
		os.Exit(1)
	}
	podstest.Main(m)
}

func TestPods(t *testing.T)      { podstest.Test(t, subject) }
func BenchmarkPods(b *testing.B) { podstest.Benchmark(b, subject) }

// up starts a cluster that is gone without a trace after the test.
func up(t testing.TB, name string) *cluster {
	t.Helper()
	return podstest.Up(t, subject, name).(*cluster)
}

// leftovers lists a run's directory, the base if nobody has a directory in it, and the processes
// that execute programs of the run or are told of them.
func leftovers(t testing.TB, run string) []string {
	entries, err := os.ReadDir(base())
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	var left []string
	if err == nil && len(entries) == 0 {
		left = append(left, base())
	}
	dir := filepath.Join(base(), run+ownerMark)
	for _, e := range entries {
		if name := filepath.Join(base(), e.Name()); strings.HasPrefix(name, dir) {
			left = append(left, name)
		}
	}
	return append(left, processesOf(t, dir)...)
}

// podOf finds the PID 1 of a pod by its command line, which is its config.
func podOf(t testing.TB, started nodes.Cluster, node string) (namespace string, kill func() error) {
	t.Helper()
	for _, pid := range processesOf(t, started.(*cluster).files.dir) {
		line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		if err != nil {
			continue // it has ended meanwhile
		}
		args := strings.Split(string(line), "\x00")
		number, err := strconv.Atoi(pid)
		require.NoError(t, err)
		if len(args) > 2 && args[1] == "pod" && strings.Contains(args[2], `"Name":"`+node+`"`) {
			return podstest.PIDNamespace(t, number), func() error { return syscall.Kill(number, syscall.SIGKILL) }
		}
	}
	require.Fail(t, "no pod", node)
	return "", nil
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

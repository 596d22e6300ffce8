// Package podstest is what every runtime must do whose nodes live in pods, as tests: links
// that are cut and bad in one direction, processes that are killed, paused and started again,
// strangers that reach no node and nodes that do not command their injectors, starts that fail,
// logs, and nothing left behind. It is used by tests only.
//
//	var subject = podstest.Subject{Runtime: New(), Require: "FAULTLINE_REQUIRE_…", …}
//
//	func TestMain(m *testing.M)      { podstest.Main(m) }
//	func TestPods(t *testing.T)      { podstest.Test(t, subject) }
//	func BenchmarkPods(b *testing.B) { podstest.Benchmark(b, subject) }
//
// What one runtime alone does (an engine's errors, whose leftovers are whose) is
// tested beside it, with Up, Ask and RequireConditions.
package podstest

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

// Subject is a runtime under test.
type Subject struct {
	// Runtime says "starting 3 pods" and then "starting 3 nodes" as its Start comes that far.
	Runtime nodes.Runtime
	// Require is an environment variable that, set to 1, makes the tests fail on a machine
	// that does not offer the runtime. Otherwise they are skipped there.
	Require string
	// Leftovers lists what is left of a run on this machine.
	Leftovers func(t testing.TB, run string) []string
	// Died is what the runtime tells a pods.Group of a node that has ended, or nil.
	Died func(ctx context.Context, c nodes.Cluster, node string) error
	// Pod is the pid namespace of a node's pod (PIDNamespace), and kills its PID 1 with SIGKILL.
	Pod func(t testing.TB, c nodes.Cluster, node string) (namespace string, kill func() error)
	// Taken is what Start says when another run has the same name.
	Taken string
	// Outside lists addresses, HOST:PORT, at which others on this machine could try to reach
	// the pod of a node; nil if there are none.
	Outside func(c nodes.Cluster, node string) []string
	// Prefix begins the names of the runs that Up starts, if a test process has several subjects.
	Prefix string
	// Parallel lets tests run beside each other: clusters have nothing to do with TMPDIR, which
	// else every test has to itself.
	Parallel bool
}

// suite is what every runtime must do.
var suite = []Case{
	{Name: "capabilities cover the conditions", Test: testCapabilities},

	{Name: "links are dropped and rejected each direction apart", onShared: testLinksAreCut},
	{Name: "ports are closed and all else is open", onShared: testPortsAreClosed},
	{Name: "links are shaped", Test: testLinksAreShaped, exact: true},
	{Name: "what already holds is left alone", Test: testSetIsIdempotent},

	{Name: "nodes have their address and no capabilities", onShared: testPlaces},
	{Name: "every start is as the system says", Test: testStarts},
	{Name: "all processes of a node are stopped and killed", Test: testChildren},
	{Name: "programs of the machine run with what they are linked with", Test: testImages},
	{Name: "killed nodes keep address, data, rules and endpoint", Test: testKilledNodes},
	{Name: "a node that was absent begins anew at its address", Test: testAbsentNodes},
	{Name: "nodes begin in the conditions of the baseline, and none that it has absent", Test: testBaseline},
	{Name: "a change that is cut off does not harm the next", Test: testCutOff},
	{Name: "clocks are wrong from the first instruction on", Test: testClocks, exact: true},
	{Name: "a loss of power takes what was not synced", Test: testPowerLoss},
	{Name: "disks fail and heal, and are damaged and mended", Test: testDisks},
	{Name: "a pod without the rights refuses", onShared: testRights},
	{Name: "a pod that is killed while it probes its disk is gone", Test: testKilledPods},
	{Name: "a dead node refuses connections", Test: testDeadNodesRefuse},
	{Name: "paused nodes answer later", Test: testPausedNodes},
	{Name: "a node that ended by itself is started again by Set", Test: testNodesThatEnded},
	{Name: "every start and every end of a process is told", Test: testLives},
	{Name: "a node that ends as soon as it is started is told of", Test: testShortLives},
	{Name: "no life is missed in a storm of restarts", Test: testStorm},

	{Name: "strangers reach no node", onShared: testStrangers},
	{Name: "a node does not command its injector", Test: testAttacks},

	{Name: "many may set and measure at once", Test: testManyAtOnce},
	{Name: "what is not there is refused", onShared: testRefusals},
	{Name: "a failed start leaves nothing", Test: testFailedStarts},
}

// Case is a test of the suite.
type Case struct {
	Name     string
	Test     func(*testing.T, Subject)
	onShared func(*testing.T, Subject, nodes.Cluster) // instead of Test: it leaves a cluster of three healthy nodes as it was
	exact    bool                                     // it measures so finely that no other may run beside it
}

// Suite is the cases of these names, for a runtime that has two ways to do the same.
func Suite(names ...string) (cases []Case) {
	for _, c := range suite {
		if slices.Contains(names, c.Name) {
			cases = append(cases, c)
		}
	}
	if len(cases) != len(names) {
		panic("no such case in the suite")
	}
	return cases
}

// Test puts a runtime to the suite.
func Test(t *testing.T, s Subject) {
	Run(t, s, suite)
}

// Run runs cases: first those that bear no others beside them, then the rest, side by side if the
// runtime is for that. Those that leave a cluster as it was have one together.
func Run(t *testing.T, s Subject, cases []Case) {
	var shared, rest []Case
	for _, c := range cases {
		switch {
		case c.onShared != nil:
			shared = append(shared, c)
		case s.Parallel && !c.exact:
			rest = append(rest, c)
		default:
			t.Run(c.Name, func(t *testing.T) { c.Test(t, s) })
		}
	}
	if s.Parallel {
		t.Parallel()
	}
	for _, c := range append(rest, onOneCluster(shared)) {
		t.Run(c.Name, func(t *testing.T) {
			if s.Parallel {
				t.Parallel()
			}
			c.Test(t, s)
		})
	}
}

func onOneCluster(cases []Case) Case {
	return Case{Name: "on one cluster", Test: func(t *testing.T, s Subject) {
		cluster := Up(t, s, "shared")
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) { c.onShared(t, s, cluster) })
		}
	}}
}

// Need skips a test on a machine that does not offer the runtime, unless Require forbids it.
// From then on the test has a directory for temporary files of its own, unless others run beside it.
func Need(t testing.TB, s Subject) {
	t.Helper()
	if !s.Parallel {
		t.Setenv("TMPDIR", t.TempDir())
	}
	err := s.Runtime.Check(t.Context())
	if err != nil && os.Getenv(s.Require) != "1" {
		t.Skipf("needs %s: %v", s.Runtime.Name(), err)
	}
	require.NoError(t, err)
}

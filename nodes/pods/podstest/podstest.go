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
}

// suite is what every runtime must do.
var suite = []Case{
	{"capabilities cover the conditions", testCapabilities},

	{"links are dropped and rejected each direction apart", testLinksAreCut},
	{"links are shaped", testLinksAreShaped},
	{"what already holds is left alone", testSetIsIdempotent},

	{"nodes have their address and no capabilities", testPlaces},
	{"every start is as the system says", testStarts},
	{"all processes of a node are stopped and killed", testChildren},
	{"programs of the machine run with what they are linked with", testImages},
	{"killed nodes keep address, data, rules and endpoint", testKilledNodes},
	{"a node that was absent begins anew at its address", testAbsentNodes},
	{"nodes begin in the conditions of the baseline, and none that it has absent", testBaseline},
	{"a change that is cut off does not harm the next", testCutOff},
	{"clocks are wrong from the first instruction on", testClocks},
	{"a loss of power takes what was not synced", testPowerLoss},
	{"disks fail and heal, and are damaged and mended", testDisks},
	{"a pod without the rights refuses", testRights},
	{"a pod that is killed while it probes its disk is gone", testKilledPods},
	{"a dead node refuses connections", testDeadNodesRefuse},
	{"paused nodes answer later", testPausedNodes},
	{"a node that ended by itself is started again by Set", testNodesThatEnded},
	{"every start and every end of a process is told", testLives},
	{"a node that ends as soon as it is started is told of", testShortLives},
	{"no life is missed in a storm of restarts", testStorm},

	{"strangers reach no node", testStrangers},
	{"a node does not command its injector", testAttacks},

	{"many may set and measure at once", testManyAtOnce},
	{"what is not there is refused", testRefusals},
	{"a failed start leaves nothing", testFailedStarts},
}

// Case is a test of the suite.
type Case struct {
	Name string
	Test func(*testing.T, Subject)
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
	for _, c := range suite {
		t.Run(c.Name, func(t *testing.T) { c.Test(t, s) })
	}
}

// Need skips a test on a machine that does not offer the runtime, unless Require forbids it.
// From then on the test has a directory for temporary files of its own.
func Need(t testing.TB, s Subject) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	err := s.Runtime.Check(t.Context())
	if err != nil && os.Getenv(s.Require) != "1" {
		t.Skipf("needs %s: %v", s.Runtime.Name(), err)
	}
	require.NoError(t, err)
}

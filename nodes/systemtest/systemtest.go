// Package systemtest is what every system must do whose clients are to be believed, as tests: its
// operations, errors that are definite only where nothing happened, observations, leaders and
// members. It is used by tests only.
//
//	func TestSystem(t *testing.T) {
//		systemtest.Test(t, systemtest.Subject{Runtime: local.New(), Require: "FAULTLINE_REQUIRE_LOCAL",
//			System: func() nodes.System { return mine.New() }})
//	}
//
// What a system says that it cannot do (nodes.Facts) is not asked of it. It is not for finding bugs
// of the system: a scenario does that.
package systemtest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Subject is a system under test, and where its nodes run.
type Subject struct {
	System  func() nodes.System // a new one for each cluster
	Runtime nodes.Runtime
	// Require is an environment variable that, set to 1, makes the tests fail on a machine
	// that does not offer the runtime. Otherwise they are skipped there.
	Require string
	// Topology is the name of an embedded layout; dc1-3 if empty.
	Topology string
	// Recovers is how long the cluster may take to serve again after a heal; 30 s if 0.
	Recovers time.Duration
}

// Test puts a system to the suite.
func Test(t *testing.T, s Subject) {
	if s.Topology == "" {
		s.Topology = "dc1-3"
	}
	if s.Recovers == 0 {
		s.Recovers = 30 * time.Second
	}
	if err := s.Runtime.Check(t.Context()); err != nil {
		if os.Getenv(s.Require) == "1" {
			require.NoError(t, err)
		}
		t.Skipf("needs %s: %v", s.Runtime.Name(), err)
	}
	t.Run("facts", func(t *testing.T) { testFacts(t, s) })
	c := up(t, s)
	keys := c.does(history.OpRead, history.OpWrite)
	for _, test := range []struct {
		name string
		of   func(*testing.T, *cluster)
		due  bool // what it takes is among the system's facts
	}{
		{"what it says it can do, its clients can do", testAbilities, true},
		{"keys are read, written, and compared and set", testKeys, keys},
		{"keys are deleted and listed", testTrees, keys && c.does(history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree, history.OpList)},
		{"a watch waits for a change", testWatches, keys && c.does(history.OpWatch)},
		{"sessions hold locks", testLocks, c.does(history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease)},
		{"what nobody knows is refused", testUnknown, true},
		{"servers say who leads", testLeaders, c.facts.Can(history.ObservesLeaders)},
		{"leadership is handed over", testTransfer, c.facts.Can(history.TransfersLeader)},
		{"a node that is down refuses", testDown, true},
		{"a node that is paused does not answer in time", testPaused, true},
		{"definite errors are without effect", testDefinite, keys},
		{"members are told, removed and taken in again", testMembers, c.facts.Can(history.ChangesMembers)},
	} {
		if !test.due {
			t.Logf("not asked of this system, by its facts: %s", test.name)
			continue
		}
		t.Run(test.name, func(t *testing.T) { test.of(t, c.in(t)) })
	}
}

func testFacts(t *testing.T, s Subject) {
	system := s.System()
	facts := system.Facts()
	require.Regexp(t, `^[a-z0-9][a-z0-9-]*$`, system.Name())
	require.Positive(t, facts.Port)
	require.NotEmpty(t, facts.Ops)
	require.Equal(t, facts, s.System().Facts(), "they are always the same")
	for _, m := range facts.Modes {
		require.NotEmpty(t, m.Name)
		require.NotEmpty(t, m.Doc, "what a read in mode %s promises", m.Name)
	}
	if facts.OwnCopy != "" {
		require.True(t, slices.ContainsFunc(facts.Modes, func(m nodes.Mode) bool { return m.Name == facts.OwnCopy }))
	}
	for _, a := range facts.Abilities {
		require.Contains(t, history.Abilities(), a)
	}
	require.Equal(t, slices.Contains(facts.Ops, history.OpAcquire), slices.Contains(facts.Ops, history.OpCreate), "locks are held by sessions")
}

// cluster is a running cluster of the system, and a client of each node.
type cluster struct {
	nodes.Cluster
	t        testing.TB // of the test that uses it now
	subject  Subject
	facts    nodes.Facts
	topology topologies.Topology
	servers  []string
	conns    map[string]nodes.Conn
	keys     int
}

func up(t *testing.T, s Subject) *cluster {
	topology, err := topologies.Load(s.Topology)
	require.NoError(t, err)
	system := s.System()
	running, err := s.Runtime.Start(t.Context(), nodes.Spec{Run: fmt.Sprintf("test-%d-%s", os.Getpid(), system.Name()), Topology: topology,
		System: system, Needs: []faults.Capability{faults.ProcessKill, faults.ProcessPause, faults.ProcessAbsent, faults.LinkDrop},
		Baseline: topology.Baseline()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, nodes.Remove(context.Background(), running)) })
	c := &cluster{Cluster: running, t: t, subject: s, facts: system.Facts(), topology: topology, conns: map[string]nodes.Conn{}}
	for _, n := range topology.Started() {
		if n.Role == topologies.Server {
			c.servers = append(c.servers, n.Name)
		}
		c.conns[n.Name] = system.Open(running.Endpoint(n.Name))
		t.Cleanup(c.conns[n.Name].Close)
	}
	c.serves()
	return c
}

// in is the cluster for a test of its own, healthy, which it is again after the test.
func (c *cluster) in(t *testing.T) *cluster {
	own := *c
	own.t = t
	own.set(nil)
	own.serves()
	t.Cleanup(func() { c.keys = own.keys })
	return &own
}

// set brings the cluster to the baseline with these states on top.
func (c *cluster) set(states map[string]faults.ProcessState, cut ...string) {
	c.t.Helper()
	want := c.topology.Baseline()
	for node, state := range states {
		want.SetProcess([]string{node}, state)
	}
	if want.Links == nil {
		want.Links = map[faults.Pair]faults.Link{}
	}
	for _, node := range cut {
		for _, other := range c.servers {
			if other != node {
				want.Links[faults.Pair{From: node, To: other}] = faults.Link{Drop: true}
				want.Links[faults.Pair{From: other, To: node}] = faults.Link{Drop: true}
			}
		}
	}
	require.NoError(c.t, c.Set(c.t.Context(), want))
}

// key is a key that nobody has used.
func (c *cluster) key() string {
	c.keys++
	return fmt.Sprintf("systemtest-%d", c.keys)
}

const answers = 5 * time.Second // how long a healthy node may take

func (c *cluster) do(node string, op nodes.Op) (nodes.Answer, error) {
	return c.within(answers, node, op)
}

func (c *cluster) within(limit time.Duration, node string, op nodes.Op) (nodes.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	began := time.Now()
	answer, err := c.conns[node].Do(ctx, op)
	require.Less(c.t, time.Since(began), limit+2*time.Second, "%s at %s ignores that its time is up", op.F, node)
	return answer, err
}

// must is do for an operation that has to succeed.
func (c *cluster) must(node string, op nodes.Op) nodes.Answer {
	c.t.Helper()
	answer, err := c.do(node, op)
	require.NoError(c.t, err, "%s at %s", op.F, node)
	return answer
}

// does reports whether the system has the operations.
func (c *cluster) does(ops ...history.Op) bool {
	return !slices.ContainsFunc(ops, func(op history.Op) bool { return !slices.Contains(c.facts.Ops, op) })
}

// serves waits until every started node answers, does operations, and, where servers say so, knows
// a leader.
func (c *cluster) serves() {
	c.t.Helper()
	for node := range c.conns {
		c.eventually(c.subject.Recovers, node+" serves", func() error {
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			defer cancel()
			seen, err := c.conns[node].Observe(ctx)
			if err != nil {
				return err
			}
			if slices.Contains(c.servers, node) && c.facts.Can(history.ObservesLeaders) && seen.Leader == "" {
				return fmt.Errorf("%s knows no leader", node)
			}
			if !slices.Contains(c.facts.Ops, history.OpRead) {
				return nil
			}
			_, err = c.do(node, nodes.Op{F: history.OpRead, Key: "systemtest", Mode: history.ModeDefault})
			return err
		})
	}
}

func (c *cluster) eventually(limit time.Duration, what string, f func() error) {
	c.t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			require.NoError(c.t, err, "%s: not within %v", what, limit)
		}
	}
}

// leader waits until exactly one server says that it leads, and all say that it does.
func (c *cluster) leader() string {
	c.t.Helper()
	leader := ""
	c.eventually(c.subject.Recovers, "one leader", func() error {
		leader = ""
		for _, node := range c.servers {
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			seen, err := c.conns[node].Observe(ctx)
			cancel()
			switch {
			case err != nil:
				return err
			case leader != "" && seen.Leader != leader:
				return fmt.Errorf("%s follows %q, and another %q", node, seen.Leader, leader)
			case seen.Leader == "":
				return fmt.Errorf("%s knows no leader", node)
			case (seen.State == history.Leader) != (seen.Leader == node):
				return fmt.Errorf("%s is %q and names %s as the leader", node, seen.State, seen.Leader)
			}
			leader = seen.Leader
		}
		return nil
	})
	return leader
}

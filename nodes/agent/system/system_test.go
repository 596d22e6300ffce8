package system

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/local"
	"faultline/nodes/systemtest"
	"faultline/workloads/history"
)

// The reference agent is what every system must be.
func TestSystem(t *testing.T) {
	patience := 30 * time.Second
	if os.Getenv(lie) != "" {
		patience = 8 * time.Second // it is in vain
	}
	systemtest.Test(t, systemtest.Subject{Runtime: local.New(), Require: "FAULTLINE_REQUIRE_LOCAL", Recovers: patience,
		System: func() nodes.System { return liar{New(Options{RaftMultiplier: 1}), os.Getenv(lie)} }})
}

const lie = "FAULTLINE_TEST_LIE"

// liar is a system whose clients do not say what they saw.
type liar struct {
	nodes.System
	lie string
}

func (l liar) Open(at nodes.Endpoint) nodes.Conn {
	c := l.System.Open(at)
	if l.lie == "" {
		return c
	}
	return lyingConn{c, c.(nodes.Leaders), c.(nodes.Leaver), c.(nodes.Members), l.lie}
}

type lyingConn struct {
	nodes.Conn
	nodes.Leaders
	nodes.Leaver
	nodes.Members
	lie string
}

func (c lyingConn) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	a, err := c.Conn.Do(ctx, op)
	switch {
	case c.lie == "definite" && err != nil && !nodes.CodeOf(err).Definite():
		return a, nodes.Errorf(history.NotReady, "it says that it did nothing")
	case c.lie == "held" && nodes.CodeOf(err) == history.LockHeld:
		return a, nil
	case c.lie == "index" && op.F == history.OpRead:
		a.Index++
	}
	return a, err
}

func (c lyingConn) Identity(ctx context.Context) (string, error) {
	if id, err := c.Members.Identity(ctx); c.lie != "identity" || err != nil {
		return id, err
	}
	return "the same forever", nil
}

// What a system must be, one that lies is not. The suite runs in a process of its own for each lie.
func TestASystemThatLiesIsFoundOut(t *testing.T) {
	if err := local.New().Check(t.Context()); err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skip("needs local: ", err)
	}
	for name, in := range map[string]struct{ test, says string }{
		"definite": {"definite_errors", "was not written at|a paused node keeps what it was asked"},
		"held":     {"sessions_hold_locks", "another holds it"},
		"index":    {"keys_are_read", "a read tells the index of the last write"},
		"identity": {"members_are_told", "dc1-s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := exec.Command("/proc/self/exe", "-test.run", "^TestSystem$/"+in.test, "-test.timeout", "3m")
			suite.Env = append(os.Environ(), lie+"="+name)
			said, err := suite.CombinedOutput()
			require.Error(t, err, "%s", said)
			require.Contains(t, string(said), "--- FAIL: TestSystem/"+in.test)
			require.Regexp(t, in.says, string(said))
		})
	}
}

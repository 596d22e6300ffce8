package faultline

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// consulShape is a correct system whose nodes say of themselves what a Consul does: no boot;
// while they start no term of their own, and for a while longer a commit index that begins
// anew. With a lapse one of them says so in the middle of its life, which no Consul does.
type consulShape struct {
	memorySystem
	lapse bool
}

const (
	starting  = 700 * time.Millisecond // without a term
	catchesUp = 2 * time.Second        // with a commit index that is behind
)

func (s consulShape) Open(at nodes.Endpoint) nodes.Conn {
	return &consulClient{memoryClient: memoryClient{m: s.m, at: at}, lapse: s.lapse}
}

type consulClient struct {
	memoryClient
	lapse bool

	mu    sync.Mutex
	boot  string
	since time.Time // when that boot was first heard of
}

func (c *consulClient) Observe(ctx context.Context) (history.Observation, error) {
	seen, err := c.memoryClient.Observe(ctx)
	if err != nil {
		return seen, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen.BootID != c.boot {
		c.boot, c.since = seen.BootID, time.Now()
	}
	seen.BootID = ""
	switch age := time.Since(c.since); {
	case age < starting:
		seen.Term, seen.Commit, seen.Applied, seen.Last = 0, 0, 0, 0
	case age < catchesUp, c.lapse && c.at.Node == "dc1-s2" && age > 3*time.Second:
		seen.Commit, seen.Applied = 0, 0
	}
	return seen, nil
}

func runShape(t *testing.T, lapse bool) (outcome Outcome) {
	synctest.Test(t, func(t *testing.T) {
		trap := newTrap("", "", 0)
		trap.release = make(chan struct{})
		m := newMemory(trap)
		s, err := ParseScenario("shape.yaml", []byte(selfScenario))
		require.NoError(t, err)
		outcome, err = Run(t.Context(), s, Options{Store: filepath.Join(t.TempDir(), "store"), System: consulShape{memorySystem{m}, lapse}, Runtime: m})
		require.NoError(t, err)
		close(trap.release)
	})
	return outcome
}

// A server that was killed and started again is not accused of what it forgot; one that
// forgets while it runs is.
func TestASystemThatTellsNoBootIsNotAccused(t *testing.T) {
	outcome := runShape(t, false)
	require.Equal(t, checker.Valid, outcome.Verdict, trial{outcome: outcome}.why())
	raft := outcome.Results[slices.IndexFunc(outcome.Results, func(r checker.Result) bool { return r.Checker == "raft" })]
	require.Contains(t, raft.Summary, "nothing was concluded from them", "what could not be judged is said")

	outcome = runShape(t, true)
	require.Equal(t, checker.Invalid, outcome.Verdict)
	require.Contains(t, trial{outcome: outcome}.why(), "raft: the commit index of dc1-s2 fell from ")
}

package faultline

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// forgetful is a system whose nodes answer reads, from a while after the start on, as if there were no keys.
type forgetful struct {
	memorySystem
	after time.Duration
}

func (s forgetful) Open(at nodes.Endpoint) nodes.Conn {
	return &forgetfulClient{memoryClient: memoryClient{m: s.m, at: at}, from: time.Now().Add(s.after)}
}

type forgetfulClient struct {
	memoryClient
	from time.Time
}

func (c *forgetfulClient) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	a, err := c.memoryClient.Do(ctx, op)
	if op.F == history.OpRead && err == nil && time.Now().After(c.from) {
		return nodes.Answer{}, nil // it holds something by now
	}
	return a, err
}

func TestARunThatIsToEndWithItsFirstViolation(t *testing.T) {
	for name, test := range map[string]struct {
		until bool
		after time.Duration
		least time.Duration
		most  time.Duration
		want  checker.Verdict
	}{
		"ends soon":           {true, 5 * time.Second, 5 * time.Second, 10 * time.Second, checker.Invalid},
		"goes on if not told": {false, 5 * time.Second, 20 * time.Second, time.Hour, checker.Invalid},
		"goes on if valid":    {true, time.Hour, 20 * time.Second, time.Hour, checker.Valid},
	} {
		t.Run(name, func(t *testing.T) {
			var outcome Outcome
			store := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				trap := newTrap("", "", 0)
				trap.release = make(chan struct{})
				m := newMemory(trap)
				s := Scenario{Name: "until", TimeLimit: 20 * time.Second, Rate: 50}
				var err error
				outcome, err = Run(t.Context(), s, Options{Store: filepath.Join(store, "store"), Runtime: m, System: forgetful{memorySystem{m}, test.after}, UntilInvalid: test.until})
				require.NoError(t, err)
				close(trap.release)
			})
			require.Equal(t, test.want, outcome.Verdict)
			require.Greater(t, outcome.Report.Length, test.least)
			require.Less(t, outcome.Report.Length, test.most)
			ended := test.until && test.want == checker.Invalid
			said := slices.ContainsFunc(outcome.Report.Notes, func(n string) bool { return strings.Contains(n, "ended with its first violation") })
			require.Equal(t, ended, said, "%v", outcome.Report.Notes)
			for _, r := range outcome.Results {
				if r.Checker == "record" && ended {
					require.Equal(t, checker.Unknown, r.Verdict, "what would have followed was not tried")
				}
			}
		})
	}
}

package systemtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

var errOld = errors.New("it is not the last value that was written")

func testDown(t *testing.T, c *cluster) {
	node := c.servers[0]
	c.set(map[string]faults.ProcessState{node: faults.Killed})
	refused := 0
	for try := 0; refused < 3; try++ {
		_, err := c.do(node, c.anything())
		require.Error(t, err)
		if nodes.CodeOf(err) == history.Refused {
			refused++
		} else { // on a connection that was open when the node was killed
			require.Equal(t, history.ConnectionLost, nodes.CodeOf(err), "%v", err)
			require.Less(t, try, 10, "it still does not refuse: %v", err)
		}
		_, err = c.conns[node].Observe(t.Context())
		require.Error(t, err)
	}
}

func testPaused(t *testing.T, c *cluster) {
	node := c.servers[0]
	c.set(map[string]faults.ProcessState{node: faults.Paused})
	_, err := c.within(300*time.Millisecond, node, c.anything())
	require.Error(t, err)
	code := nodes.CodeOf(err)
	require.True(t, code == history.Timeout || code == history.Unreachable, "%v", err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.conns[node].Observe(ctx)
	require.Error(t, err)
}

// anything is an operation that changes something, if the system has one.
func (c *cluster) anything() nodes.Op {
	for _, op := range []nodes.Op{{F: history.OpWrite, Key: c.key(), Value: "1"}, {F: history.OpCreate, TTL: ttl}} {
		if slices.Contains(c.facts.Ops, op.F) {
			return op
		}
	}
	return nodes.Op{F: c.facts.Ops[0], Key: c.key()}
}

// testDefinite writes keys while nodes are killed, paused and cut off. A key whose write failed for
// certain must be absent in the end.
func testDefinite(t *testing.T, c *cluster) {
	type attempt struct {
		key  string
		err  error
		node string
	}
	var (
		mu       sync.Mutex
		attempts []attempt
		clients  sync.WaitGroup
	)
	over, stop := context.WithCancel(t.Context())
	const threads = 6
	for thread := range threads {
		clients.Go(func() {
			node := c.servers[thread%len(c.servers)]
			for over.Err() == nil {
				mu.Lock()
				key := c.key()
				mu.Unlock()
				ctx, cancel := context.WithTimeout(context.Background(), []time.Duration{100 * time.Millisecond, time.Second}[thread/len(c.servers)%2])
				_, err := c.conns[node].Do(ctx, nodes.Op{F: history.OpWrite, Key: key, Value: "1"})
				cancel()
				mu.Lock()
				attempts = append(attempts, attempt{key, err, node})
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	victim := func(i int) string {
		if c.facts.Can(history.ObservesLeaders) {
			return c.leader()
		}
		return c.servers[i%len(c.servers)]
	}
	for i, state := range []faults.ProcessState{faults.Killed, faults.Paused, faults.Running} {
		node := victim(i)
		var cut []string
		if state == faults.Running {
			cut = []string{node}
		}
		c.set(map[string]faults.ProcessState{node: state}, cut...)
		time.Sleep(2 * time.Second)
		c.set(nil)
		if c.facts.Can(history.ObservesLeaders) {
			c.leader()
		}
	}
	stop()
	clients.Wait()
	c.serves()
	good, definite, indefinite := 0, 0, 0
	for _, a := range attempts {
		const most = 500 // of those that succeeded are read
		switch code := nodes.CodeOf(a.err); {
		case a.err == nil:
			if good++; good <= most {
				got := c.must(c.servers[0], nodes.Op{F: history.OpRead, Key: a.key, Mode: history.ModeDefault})
				require.True(t, got.Found, "%s was written at %s", a.key, a.node)
			}
		case code.Definite():
			definite++
			got := c.must(c.servers[0], nodes.Op{F: history.OpRead, Key: a.key, Mode: history.ModeDefault})
			require.False(t, got.Found, "%s was not written at %s, for certain: %v", a.key, a.node, a.err)
		default:
			indefinite++
		}
	}
	t.Logf("%d writes succeeded, %d certainly failed, of %d nobody knows", good, definite, indefinite)
	require.Positive(t, good)
	require.Positive(t, definite, "a killed node refuses")
	require.Positive(t, indefinite, "a paused node keeps what it was asked")
}

package agent

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// blocked starts a blocking query and returns when it waits.
func blocked(t *testing.T, n *node, query string) <-chan answer {
	t.Helper()
	woken := make(chan answer, 1)
	go func() {
		a, _ := n.try("GET", "/v1/kv/k?"+query, "")
		woken <- a
	}()
	time.Sleep(100 * time.Millisecond) // of virtual time: it is there by then
	require.Empty(t, woken)
	return woken
}

func TestWatchNeverWaits(t *testing.T) {
	for _, planted := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			c := startCluster(t, 1, 0, plant(planted, WatchNeverWaits))
			index := c.leader(t).put(t, "k", "one")
			begun := time.Now()
			a := c.leader(t).do(t, "GET", "/v1/kv/k?wait=10s&index="+itoa(index), "")
			require.Equal(t, index, a.index(t))
			require.Equal(t, planted, time.Since(begun) < 10*time.Second)
		})
	}
}

func TestWatchMissesDeletes(t *testing.T) {
	for _, planted := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			c := startCluster(t, 1, 0, plant(planted, WatchMissesDeletes))
			n := c.leader(t)
			index := n.put(t, "k", "one")
			woken := blocked(t, n, "wait=10s&index="+itoa(index))
			begun := time.Now()
			require.Equal(t, http.StatusOK, n.do(t, "DELETE", "/v1/kv/k", "").status)
			a := <-woken
			require.Equal(t, http.StatusNotFound, a.status)
			require.Greater(t, a.index(t), index)
			require.Equal(t, planted, time.Since(begun) > 9*time.Second)
		})
	}
}

// The state is taken before the leader knows that it may answer, here because it is not ready yet, and the index after.
func TestWatchIndexAfterState(t *testing.T) {
	for _, planted := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			c := startCluster(t, 1, 0, plant(planted, WatchIndexAfterState))
			first := c.leader(t).put(t, "k", "one")
			s := c.leader(t).agent.server.Load()
			term, leads := s.leading()
			require.True(t, leads)
			unready := &leadership{s: s, term: term, ready: make(chan struct{})}
			s.lead.Store(unready)
			read := make(chan readReply, 1)
			go func() {
				reply, _ := s.read(t.Context(), readArgs{Query: kv.Query{Kind: kv.Get, Key: "k"}, Mode: history.ModeDefault})
				read <- reply
			}()
			time.Sleep(10 * time.Millisecond) // of virtual time: it waits by then
			_, err := s.propose(t.Context(), kv.Command{Op: kv.Put, Key: "k", Value: []byte("two")}.Append(nil))
			require.NoError(t, err)
			close(unready.ready)
			reply := <-read
			require.Len(t, reply.Entries, 1)
			require.Greater(t, reply.Index, first)
			require.Equal(t, planted, reply.Entries[0].ModifyIndex == first)
		})
	}
}

// plant starts an agent with a defect, or without.
func plant(planted bool, defect string) func(*Config) {
	return func(config *Config) {
		if planted {
			config.DefectNames = []string{defect}
		}
	}
}

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// newSession makes a session by a node's API; order is the body's fields.
func (n *node) newSession(t *testing.T, order string) (id string) {
	t.Helper()
	a := n.do(t, "PUT", "/v1/session/create", order)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &made))
	require.NotEmpty(t, made.ID)
	return made.ID
}

func (n *node) lock(t *testing.T, verb, key, session string) bool {
	t.Helper()
	a := n.do(t, "PUT", "/v1/kv/"+key+"?"+verb+"="+session, "by "+session)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.body == "true"
}

func (n *node) hasSession(t *testing.T, id string) bool {
	t.Helper()
	a := n.do(t, "GET", "/v1/session/info/"+id, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.body != "[]"
}

const unchecked = `"Checks": [], "NodeChecks": []`

func shortSessions(c *Config) { c.SessionTTLMin = 100 * time.Millisecond }

func TestLocks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 1, shortSessions)
		server, client := c.leader(t), c.nodes[1]
		a := client.newSession(t, `{"Name": "a", "LockDelay": "0s", `+unchecked+`}`)
		b := server.newSession(t, `{`+unchecked+`, "Behavior": "delete", "LockDelay": 0}`)

		require.True(t, client.lock(t, "acquire", "k", a))
		held := server.get(t, "k", "")
		require.Equal(t, a, held.Session)
		require.EqualValues(t, 1, held.LockIndex)
		require.False(t, client.lock(t, "acquire", "k", b), "it is another's")
		require.False(t, client.lock(t, "release", "k", b))
		require.True(t, client.lock(t, "acquire", "k", a), "it is one's own")
		require.EqualValues(t, 1, server.get(t, "k", "").LockIndex)
		server.put(t, "k", "a plain write")
		require.Equal(t, a, server.get(t, "k", "").Session, "goes through, and leaves the lock alone")

		require.True(t, client.lock(t, "release", "k", a))
		free := server.get(t, "k", "")
		require.Empty(t, free.Session)
		require.EqualValues(t, 1, free.LockIndex)
		require.True(t, client.lock(t, "acquire", "k", b))
		require.EqualValues(t, 2, server.get(t, "k", "").LockIndex)

		require.Equal(t, "true", client.do(t, "PUT", "/v1/session/destroy/"+b, "").body)
		require.Equal(t, http.StatusNotFound, server.do(t, "GET", "/v1/kv/k", "").status, "its behavior is delete")
		last := server.agent.server.Load().raft.LastIndex()
		gone := client.do(t, "PUT", "/v1/kv/k?acquire="+b, "x")
		require.Equal(t, history.NoSession, gone.code(), gone.body)
		require.Equal(t, last+1, server.agent.server.Load().raft.LastIndex(), "asking again would be answered the same")
		gone = client.do(t, "PUT", "/v1/session/renew/"+b, "")
		require.Equal(t, http.StatusNotFound, gone.status)
		require.Equal(t, history.NoSession, gone.code())
		require.Equal(t, "true", client.do(t, "PUT", "/v1/session/destroy/"+b, "").body, "twice destroyed is destroyed")
	})
}

func TestSessionsThatAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		for _, refused := range []struct{ order, why string }{
			{`{"TTL": "1s"}`, "Invalid Session TTL"},
			{`{"TTL": "25h"}`, "Invalid Session TTL"},
			{`{"TTL": "soon"}`, "Invalid Session TTL"},
			{`{"LockDelay": "-1s"}`, "Invalid LockDelay"},
			{`{"LockDelay": {}}`, "Invalid LockDelay"},
			{`{"Behavior": "explode"}`, "Invalid Behavior"},
			{`{"Node": "nobody"}`, "Missing node registration"},
			{`{"Checks": ["disk"]}`, "Missing check"},
			{`{`, "decode failed"},
		} {
			a := c.leader(t).do(t, "PUT", "/v1/session/create", refused.order)
			require.Equal(t, history.BadRequest, a.code(), refused.order)
			require.Contains(t, a.body, refused.why)
		}
	})
}

// A session lives while it is renewed, and ends some time after; then its keys are free, but
// not before the lock delay is over.
func TestSessionsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, shortSessions)
		leader := c.leader(t)
		s := leader.leadership().s
		a := leader.newSession(t, `{"TTL": "1m", "LockDelay": "20s", `+unchecked+`}`)
		b := leader.newSession(t, `{`+unchecked+`}`)
		require.True(t, leader.lock(t, "acquire", "k", a))
		eventually(t, "the leader counts", func() error {
			l := leader.leadership()
			l.sessions.mu.Lock()
			defer l.sessions.mu.Unlock()
			if l.sessions.ends[a] == 0 {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		for range 3 {
			leader.host.ahead.Add(int64(time.Minute + time.Second))
			renewed := leader.do(t, "PUT", "/v1/session/renew/"+a, "")
			require.Equal(t, http.StatusOK, renewed.status, renewed.body)
		}
		time.Sleep(3 * sessionCheckInterval)
		require.True(t, leader.hasSession(t, a), "it was renewed in time")
		leader.host.ahead.Add(int64(2*time.Minute + time.Second))
		eventually(t, "the session ends", func() error {
			if _, there := s.store.Session(a); there {
				return fmt.Errorf("it is there")
			}
			return nil
		})
		require.False(t, leader.lock(t, "acquire", "k", b), "of the lock delay")
		leader.host.ahead.Add(int64(21 * time.Second))
		require.True(t, leader.lock(t, "acquire", "k", b))
	})
}

// A session that stands on the health of its node ends with it.
func TestSessionsEndWithTheirNode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 1)
		server, client := c.leader(t), c.nodes[1]
		checked := client.newSession(t, `{}`)
		free := client.newSession(t, `{`+unchecked+`}`)
		client.stop(t)
		eventually(t, "the session ends", func() error {
			if server.hasSession(t, checked) {
				return fmt.Errorf("it is there")
			}
			return nil
		})
		require.True(t, server.hasSession(t, free))
	})
}

// The wall clock jumps ahead.
func TestSessionExpiryByWallClock(t *testing.T) {
	for _, names := range [][]string{nil, {SessionExpiryByWallClock}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 1, 0, func(config *Config) { config.DefectNames = names })
				leader := c.leader(t)
				id := leader.newSession(t, `{"TTL": "1m", `+unchecked+`}`)
				time.Sleep(2 * sessionCheckInterval) // it is counted now
				leader.host.wall.Add(int64(time.Hour))
				time.Sleep(3 * sessionCheckInterval)
				if names == nil {
					require.True(t, leader.hasSession(t, id))
					return
				}
				eventually(t, "the session ends", func() error {
					if leader.hasSession(t, id) {
						return fmt.Errorf("it is there")
					}
					return nil
				})
			})
		})
	}
}

// Whoever leads next knows all sessions and locks, also from a snapshot, and gives each its
// full time.
func TestSessionsOutliveTheirLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, shortSessions)
		leader := c.leader(t)
		id := leader.newSession(t, `{"TTL": "1m", `+unchecked+`}`)
		require.True(t, leader.lock(t, "acquire", "k", id))
		leader.stop(t)
		next := c.leader(t)
		require.NotEqual(t, leader.name, next.name)
		require.True(t, next.hasSession(t, id))
		require.Equal(t, id, next.get(t, "k", "consistent").Session)
		renewed := next.do(t, "PUT", "/v1/session/renew/"+id, "")
		require.Equal(t, http.StatusOK, renewed.status, renewed.body)
	})
}

// The lock delay is kept, unless the defect is planted.
func TestLockDelayIgnored(t *testing.T) {
	for _, names := range [][]string{nil, {LockDelayIgnored}} {
		inBubble(t, func(t *testing.T) {
			c := startCluster(t, 1, 0, func(config *Config) { config.DefectNames = names })
			leader := c.leader(t)
			a := leader.newSession(t, `{"LockDelay": "20s", `+unchecked+`}`)
			b := leader.newSession(t, `{`+unchecked+`}`)
			require.True(t, leader.lock(t, "acquire", "k", a))
			require.Equal(t, "true", leader.do(t, "PUT", "/v1/session/destroy/"+a, "").body)
			require.Equal(t, names != nil, leader.lock(t, "acquire", "k", b))
		})
	}
}

// A leader that nobody hears any more renews no session and says of none that it has ended, unless the
// defect is planted.
func TestDeposedLeaderRenews(t *testing.T) {
	for _, names := range [][]string{nil, {DeposedLeaderRenews}} {
		inBubble(t, func(t *testing.T) {
			c := startCluster(t, 3, 0, func(config *Config) {
				config.DefectNames = names
				config.Times = &Times{Heartbeat: 2 * second, Election: 2 * second, LeaderLease: 2 * second, Commit: testTimes.Commit}
			})
			leader := c.leader(t)
			id := leader.newSession(t, `{`+unchecked+`}`)
			leader.wire.cut(leader.host.ip, ips(c.nodes, leader)...)
			defer leader.wire.heal()
			s := leader.agent.server.Load()
			_, err := s.sessionRenew(t.Context(), sessionArgs{ID: id})
			require.Equal(t, names != nil, err == nil, err)
			reply, err := s.sessionRenew(t.Context(), sessionArgs{ID: "one that it does not know"})
			require.Equal(t, names != nil, err == nil, err)
			require.Empty(t, reply.Sessions)
		})
	}
}

// That a session has ended is said when it has: while its end is on its way, a successor may come and
// give it its full time again.
func TestRenewalWaitsForTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		leader := c.leader(t)
		s := leader.agent.server.Load()
		id := leader.newSession(t, `{`+unchecked+`}`)
		l := leader.leadership()
		l.sessions.mu.Lock()
		l.sessions.ending[id] = true
		l.sessions.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.sessionRenew(ctx, sessionArgs{ID: id})
		require.Equal(t, history.Timeout, nodes.CodeOf(err), "it is there yet: %v", err)
		done := make(chan error, 1)
		go func() {
			reply, err := s.sessionRenew(t.Context(), sessionArgs{ID: id})
			if err == nil && len(reply.Sessions) > 0 {
				err = fmt.Errorf("it was renewed")
			}
			done <- err
		}()
		time.Sleep(100 * time.Millisecond)
		require.Empty(t, done)
		require.Equal(t, "true", leader.do(t, "PUT", "/v1/session/destroy/"+id, "").body)
		require.NoError(t, <-done)
	})
}
